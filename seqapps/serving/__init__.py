"""The server: bundles over HTTP and gRPC. Needs the extra `serve`."""
