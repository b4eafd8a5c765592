//! What processes cost, and how figures are summed up.

use std::fs;

/// What a process cost, as last seen before it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Processor seconds.
    pub(crate) cpu: f64,
    /// Peak resident memory, in MB.
    pub(crate) peak: f64,
}

impl Cost {
    /// What process `id` has cost so far; `None` once it is gone or on systems without `/proc`.
    pub(crate) fn so_far(id: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak: f64 = peak.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // Behind the name in parentheses: state is field 3, utime 14, stime 15, in ticks of 1/100 s (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        Some(Self { cpu: (ticks(11)? + ticks(12)?) / 100.0, peak: peak / 1e3 })
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        middle(half)
    } else {
        f64::midpoint(middle(half.saturating_sub(1)), middle(half))
    }
}
