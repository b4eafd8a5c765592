//! Associations over links that exist on paper only: virtual time, and the same seed gives the same run.

mod cubic;
mod dice;
mod link;
mod rival;
mod scenarios;
mod seeds;
mod world;
