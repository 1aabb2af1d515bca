"""The Python client and worker; knows the API and the conventions, nothing of the server."""
