//! Figures in words, the same on the terminal and in sentences.

/// A whole number with its thousands apart: `22,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 edge`, `3 edges`, `no edge`.
pub fn counted(number: u64, thing: &str) -> String {
    match number {
        0 => format!("no {thing}"),
        1 => format!("1 {thing}"),
        _ => format!("{} {thing}s", grouped(number)),
    }
}

/// Bits per second, with no more digits than say something: `2.5 Mbit/s`, `940 Mbit/s`.
pub fn rate(bits: u64) -> String {
    let (worth, unit) = match bits {
        0..1_000 => return format!("{bits} bit/s"),
        1_000..1_000_000 => (1_000, "kbit/s"),
        1_000_000..1_000_000_000 => (1_000_000, "Mbit/s"),
        _ => (1_000_000_000, "Gbit/s"),
    };
    let (whole, tenths) = (bits / worth, bits % worth * 10 / worth);
    match tenths {
        0 => format!("{} {unit}", grouped(whole)),
        _ if whole >= 100 => format!("{} {unit}", grouped(whole)),
        _ => format!("{whole}.{tenths} {unit}"),
    }
}

/// A time that has passed, in its two largest units: `3 h 12 min`.
pub fn span(seconds: u64) -> String {
    let two = |large: u64, name: &str, small: u64, lesser: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {lesser}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A number that is good for a promise: rounded down to its two first digits.
pub fn at_least(number: u64) -> u64 {
    let mut worth = 1_u64;
    while number / worth >= 100 {
        worth *= 10;
    }
    number / worth * worth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_240, "1,240"),
            (22_000, "22,000"),
            (1_000_000, "1,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(0, "edge"), "no edge");
        assert_eq!(counted(1, "edge"), "1 edge");
        assert_eq!(counted(1_240, "viewer"), "1,240 viewers");
    }

    #[test]
    fn rates_have_the_digits_that_say_something() {
        for (bits, text) in [
            (0, "0 bit/s"),
            (2_500_000, "2.5 Mbit/s"),
            (64_000, "64 kbit/s"),
            (99_990_000, "99.9 Mbit/s"),
            (100_900_000, "100 Mbit/s"),
            (10_000_000_000, "10 Gbit/s"),
            (1_234_000_000_000, "1,234 Gbit/s"),
        ] {
            assert_eq!(rate(bits), text);
        }
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (11_520, "3 h 12 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_promise_is_rounded_down() {
        for (number, promised) in [
            (0, 0),
            (99, 99),
            (100, 100),
            (199, 190),
            (21_999, 21_000),
            (u64::MAX, 18_000_000_000_000_000_000),
        ] {
            assert_eq!(at_least(number), promised);
        }
    }
}
