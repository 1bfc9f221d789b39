//! Where viewers and publishers come in, on origin and edge alike.

pub mod ingest;
