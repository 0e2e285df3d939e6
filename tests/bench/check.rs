//! What a healthy check costs, as a ratio against a bare client that makes the same handshake and request.

fn main() {}
