//! What may know what: the layers and the owners of effects that ARCHITECTURE.md describes, checked on the sources.
//!
//! [`source`] reads files and takes comments, strings and tests out of them; [`edges`] follows paths between modules;
//! [`owners`] finds names where they may not be; [`protocol`] looks at what `wire` is built from; [`documents`]
//! compares README.md with the code, and [`files`] reads everything there is. Each checker shows on a bad sample that
//! it can fail.
#![cfg(test)]

mod documents;
mod edges;
mod files;
mod owners;
mod protocol;
mod source;
