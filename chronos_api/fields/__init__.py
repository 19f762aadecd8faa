"""Fields, base classes and pages of which schemas are made."""
