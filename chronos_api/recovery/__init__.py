"""The recovery desk: open failures in groups, bulk actions on executions, replays."""
