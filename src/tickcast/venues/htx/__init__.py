"""HTX (formerly Huobi): spot, linear and inverse swaps over gzip-compressed WebSockets."""
