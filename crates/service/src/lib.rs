//! What every service shares: configuration, telemetry, gRPC and admin servers, drain.
