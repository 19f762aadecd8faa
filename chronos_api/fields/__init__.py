"""The fields, base classes and pages of schemas."""
