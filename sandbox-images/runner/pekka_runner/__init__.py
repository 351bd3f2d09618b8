"""The process inside a sandbox that runs one task and reports it as records. See ../README.md."""

#: 2: takes and sends small values together (travel.py).
VERSION = "2"
