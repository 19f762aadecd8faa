"""Jobs: their routes, their fields, and every change of one job."""
