//! `[mask]`: each rule must be about something that answers have, each pattern must be one.

use super::{Config, KeyPath, Problems};
use crate::mask::{Detectors, Rules};

impl Problems {
    pub(super) fn masks(&mut self, config: &Config) {
        for error in Rules::new(&config.mask).err().unwrap_or_default() {
            self.add(KeyPath::of("mask", "rule").item(error.rule).key(error.key), error.detail);
        }
        for (number, pattern) in config.mask.pattern.iter().enumerate() {
            if let Err(error) = Detectors::new(std::slice::from_ref(pattern)) {
                self.add(KeyPath::of("mask", "pattern").item(number).key("regex"), error.to_string());
            }
        }
        if let Err(error) = Detectors::new(&config.mask.pattern)
            && config.mask.pattern.iter().all(|one| Detectors::new(std::slice::from_ref(one)).is_ok())
        {
            self.add(KeyPath::of("mask", "pattern"), error.to_string());
        }
    }
}
