"""gRPC: servicers, handlers, and the statuses of errors."""
