//! `latency-monitor-threshold`, `latency-tracking` and its percentiles.

#[derive(Clone, Debug, PartialEq)]
pub struct LatencyConfig {
    /// What takes as long is noted; 0: nothing is.
    pub threshold_ms: u64,
    /// How long each command takes is counted.
    pub tracking: bool,
    /// Shown by INFO latencystats.
    pub percentiles: Vec<f64>,
}

impl Default for LatencyConfig {
    fn default() -> Self {
        LatencyConfig { threshold_ms: 0, tracking: true, percentiles: vec![50.0, 99.0, 99.9] }
    }
}

impl LatencyConfig {
    pub fn percentiles_text(&self) -> String {
        self.percentiles.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
    }

    pub fn set_percentiles(&mut self, words: &[String]) -> Result<(), String> {
        let words = words.iter().flat_map(|word| word.split_whitespace());
        let parse = |word: &str| word.parse().ok().filter(|value| (0.0..=100.0).contains(value));
        let values: Option<Vec<f64>> = words.map(parse).collect();
        self.percentiles =
            values.ok_or("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")?;
        Ok(())
    }
}
