//! e2e
#[cfg(test)]
mod hostile;
