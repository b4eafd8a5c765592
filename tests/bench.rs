//! The parts of the benchmark: what is moved, what watches it, and what it is compared with.

mod files;
mod flow;
mod kernel;
mod links;
mod measured;
mod page;
mod process;
mod transfer;
mod yardsticks;

pub(crate) use files::run as files;
pub(crate) use links::run as links;
pub(crate) use page::run as page;

/// The arguments of each part.
pub(crate) mod args {
    pub(crate) use super::files::Args as Files;
    pub(crate) use super::links::Args as Links;
    pub(crate) use super::page::Args as Page;
}

/// Prints a line of the result.
fn print(line: &str) {
    println!("{line}");
}
