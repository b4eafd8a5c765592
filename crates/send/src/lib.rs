//! Moves files from one machine to another: the disk ends, and everything between them and the command line.

pub mod storage;
