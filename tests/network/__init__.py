"""Branch networks, with real packets, in namespaces that end with each test."""
