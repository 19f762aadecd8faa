"""The forms of a job and of a run: texts of their fields, and the bodies of the API they mean."""
