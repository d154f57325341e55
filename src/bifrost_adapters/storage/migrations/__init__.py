"""The history of the tables, for Alembic. Revisions are numbered: a greater one is a later one."""

HEAD = "0001"
"""The revision that this program works with: the last one in `versions`."""
