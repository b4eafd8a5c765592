//! A model of the path, and what may be sent by it (after draft-ietf-ccwg-bbr; `DESIGN.md` says where it differs and why).

mod filter;
mod model;
mod startup;

pub(crate) use model::Model;
