"""The service: the analyzer behind HTTP, on the machine that it runs on."""
