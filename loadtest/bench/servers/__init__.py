"""The processes that are measured. Each is started with a listening descriptor and a core, and pins itself."""
