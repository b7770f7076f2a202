//! Checksums of books: the example of each venue's documentation, worked out by hand.
