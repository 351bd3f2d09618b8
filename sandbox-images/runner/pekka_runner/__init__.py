"""The process inside a sandbox that runs one task and reports it as records. See ../README.md."""

VERSION = "1"
