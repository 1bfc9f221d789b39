//! Amounts with a unit: a bit rate, a size in bytes, a span of time.

use std::fmt;
use std::time::Duration;

use super::text::{Text, written_as_text};

/// The units of a bit rate and what each is worth in bits per second, largest first.
const RATE_UNITS: [(&str, u64); 4] = [
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

/// The units of a size and what each is worth in bytes, largest first.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A bit rate, such as `"100Mbit"`: per second, in the network's decimal units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    /// So many bits per second.
    pub const fn from_bits(bits_per_second: u64) -> Self {
        Self(bits_per_second)
    }

    /// Bits per second.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whole bytes per second.
    pub const fn bytes(self) -> u64 {
        self.0 / 8
    }

    /// As one says it in a sentence: `2.5 Mbit/s`.
    pub fn spoken(self) -> String {
        let (unit, worth) = RATE_UNITS
            .into_iter()
            .find(|(_, worth)| self.0 >= *worth)
            .unwrap_or(("bit", 1));
        let thousandths = u128::from(self.0) * 1000 / u128::from(worth);
        format!("{} {unit}/s", decimal(thousandths))
    }
}

impl Text for Bitrate {
    const EXPECTED: &'static str = "a bit rate such as \"100Mbit\"";

    fn read(text: &str) -> Result<Self, String> {
        let bare = text.strip_suffix("/s").unwrap_or(text);
        let (number, unit) = split_unit(bare);
        if unit.ends_with('B') {
            return Err(format!(
                "a bit rate is counted in bits, not bytes: write kbit, Mbit or Gbit instead of {unit}"
            ));
        }
        let worth = RATE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let Some((_, worth)) = worth else {
            return Err(
                "a bit rate is a number with its unit, such as \"100Mbit\" or \"2500kbit\"".to_owned(),
            );
        };
        amount(number, *worth).map(Self)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_exact(f, self.0, &RATE_UNITS)
    }
}

written_as_text!(Bitrate);

/// A size, such as `"512MB"` (decimal) or `"64KiB"` (binary).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size as a length in memory, clipped to what the machine can address.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether the size is zero.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Text for ByteSize {
    const EXPECTED: &'static str = "a size such as \"512MB\"";

    fn read(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let worth = SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let Some((_, worth)) = worth else {
            return Err("a size is a number with its unit, such as \"512MB\" or \"64KiB\"".to_owned());
        };
        amount(number, *worth).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_exact(f, self.0, &SIZE_UNITS)
    }
}

written_as_text!(ByteSize);

/// A span of time, such as `"15s"`, `"500ms"` or `"24h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(Duration);

impl Seconds {
    /// So many whole seconds.
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The span as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The span in whole milliseconds, as the machines below count time.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Text for Seconds {
    const EXPECTED: &'static str = "a span of time such as \"15s\"";

    fn read(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|_| {
            "a span of time is a number with its unit, such as \"15s\", \"500ms\" or \"24h\"".to_owned()
        })
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

written_as_text!(Seconds);

/// Splits `2.5Mbit` after its number; blanks between are allowed.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// More decimals than this are no amount that anybody means, and 10 to their power still fits with room to spare.
const MAX_DECIMALS: usize = 18;

/// `number` × `worth`, exact: `2.5` Mbit is 2,500,000, and what leaves a fraction of one is refused.
fn amount(number: &str, worth: u64) -> Result<u64, String> {
    let bad = || format!("\"{number}\" is no number");
    let clean = number.replace('_', "");
    let (whole, fraction) = clean.split_once('.').unwrap_or((&clean, ""));
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let no_whole = || "the amount is no whole number of its smallest unit".to_owned();
    let decimals = fraction.trim_end_matches('0');
    if decimals.len() > MAX_DECIMALS {
        return Err(no_whole());
    }
    let scale = decimals.chars().fold(1_u128, |scale, _| scale * 10);
    let digits = decimals
        .bytes()
        .fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let part = digits * u128::from(worth);
    if !part.is_multiple_of(scale) {
        return Err(no_whole());
    }
    let total = u128::from(whole) * u128::from(worth) + part / scale;
    u64::try_from(total).map_err(|_| "the amount is too large".to_owned())
}

/// Writes `value` in the largest unit of which it is a whole number, else in the smallest.
fn write_exact(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole = units
        .iter()
        .find(|(_, worth)| value >= *worth && value.is_multiple_of(*worth));
    match whole {
        Some((unit, worth)) => write!(f, "{}{unit}", value / worth),
        None => write!(f, "{value}{}", units.last().map_or("", |(unit, _)| unit)),
    }
}

/// A count of thousandths as a decimal number without superfluous zeros.
fn decimal(thousandths: u128) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        for (text, bits) in [
            ("100Mbit", 100_000_000),
            ("100 Mbit/s", 100_000_000),
            ("2.5mbit", 2_500_000),
            ("2500kbit", 2_500_000),
            ("1_000bit", 1000),
            ("10Gbit", 10_000_000_000),
        ] {
            assert_eq!(text.parse::<Bitrate>().map(Bitrate::bits), Ok(bits), "{text}");
        }
        assert_eq!(Bitrate::from_bits(2_500_000).spoken(), "2.5 Mbit/s");
        assert_eq!(Bitrate::from_bits(100_000_000).spoken(), "100 Mbit/s");
        assert_eq!(Bitrate::from_bits(2_500_000).to_string(), "2500kbit");
        assert_eq!(Bitrate::from_bits(0).to_string(), "0bit");
    }

    #[test]
    fn sizes_know_both_kinds_of_unit() {
        assert_eq!("512MB".parse::<ByteSize>().map(ByteSize::bytes), Ok(512_000_000));
        assert_eq!("64KiB".parse::<ByteSize>().map(ByteSize::bytes), Ok(65_536));
        assert_eq!("0.5KiB".parse::<ByteSize>().map(ByteSize::bytes), Ok(512));
        assert_eq!(
            "1.50GB".parse::<ByteSize>().map(ByteSize::bytes),
            Ok(1_500_000_000)
        );
        assert_eq!(ByteSize::from_bytes(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize::from_bytes(512_000_000).to_string(), "512MB");
    }

    #[test]
    fn a_written_form_is_read_back() {
        for bytes in [0, 1, 999, 1000, 1024, 4096, 1_000_000, 16 << 20, u64::MAX] {
            let size = ByteSize::from_bytes(bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
            let rate = Bitrate::from_bits(bytes);
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for millis in [0, 1, 500, 15_000, 90_000, 86_400_000] {
            let span = Seconds::from_millis(millis);
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        let rate = |text: &str| text.parse::<Bitrate>().unwrap_err();
        assert!(rate("100").contains("with its unit"));
        assert!(rate("100MB").contains("not bytes"));
        assert!(rate("Mbit").contains("is no number"));
        assert!(rate("1.0.1Mbit").contains("is no number"));
        assert!(rate("99999999999999Gbit").contains("too large"));
        assert!(rate("0.5bit").contains("no whole number"));
        assert!(rate("0.0000000000000000001Gbit").contains("no whole number"));
        let size = |text: &str| text.parse::<ByteSize>().unwrap_err();
        assert!(
            size("0.55KiB").contains("no whole number"),
            "it would be 563.2 bytes"
        );
        assert!("12".parse::<ByteSize>().unwrap_err().contains("with its unit"));
        assert!("15".parse::<Seconds>().unwrap_err().contains("with its unit"));
        assert!("soon".parse::<Seconds>().unwrap_err().contains("with its unit"));
    }
}
