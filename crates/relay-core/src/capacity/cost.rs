//! What sending costs: so much per burst, whatever its size, and so much per byte.

use std::time::Duration;

/// The CPU time of one burst of a size, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Bytes of the burst.
    pub bytes: f64,
    /// Seconds of CPU that it took.
    pub seconds: f64,
}

/// Seconds of CPU that sending takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Per burst: the system call, the packet's way through the kernel, its acknowledgement.
    pub burst: f64,
    /// Per byte: copies and checksums.
    pub byte: f64,
}

impl Cost {
    /// The straight line through measurements that misses none of them by much in proportion. It takes at least two
    /// sizes; neither part is ever below zero.
    pub fn fit(samples: &[Sample]) -> Option<Self> {
        // Each sample asks for `burst × u + byte × v = 1`, so that a small burst counts as much as a large one.
        let (mut uu, mut uv, mut vv, mut u_sum, mut v_sum) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for sample in samples.iter().filter(|sample| sample.is_sound()) {
            let (u, v) = (sample.seconds.recip(), sample.bytes / sample.seconds);
            uu += u * u;
            uv += u * v;
            vv += v * v;
            u_sum += u;
            v_sum += v;
        }
        let determinant = uu * vv - uv * uv;
        // Of one size alone this is 0, but for rounding.
        if determinant.is_nan() || determinant <= uu * vv * 1e-9 {
            return None;
        }
        let burst = (u_sum * vv - v_sum * uv) / determinant;
        let byte = (v_sum * uu - u_sum * uv) / determinant;
        Some(if burst < 0.0 {
            Self {
                burst: 0.0,
                byte: v_sum / vv,
            }
        } else if byte < 0.0 {
            Self {
                burst: u_sum / uu,
                byte: 0.0,
            }
        } else {
            Self { burst, byte }
        })
    }

    /// Seconds of CPU for so many bursts of so many bytes together.
    pub fn of(self, bursts: f64, bytes: f64) -> f64 {
        self.burst * bursts + self.byte * bytes
    }

    /// What one core sends in a second that is all its own, to viewers of `rate` bytes per second who each get a burst
    /// per period.
    pub fn bytes_per_second(self, rate: f64, period: Duration) -> f64 {
        let burst = (rate * period.as_secs_f64()).max(1.0);
        let seconds = self.of(1.0, burst);
        if seconds > 0.0 {
            burst / seconds
        } else {
            f64::INFINITY
        }
    }
}

impl Sample {
    fn is_sound(&self) -> bool {
        self.bytes > 0.0 && self.seconds > 0.0 && self.bytes.is_finite() && self.seconds.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(burst: f64, byte: f64, sizes: &[f64]) -> Vec<Sample> {
        let sample = |bytes: &f64| Sample {
            bytes: *bytes,
            seconds: burst + byte * bytes,
        };
        sizes.iter().map(sample).collect()
    }

    fn is_near(left: f64, right: f64) -> bool {
        (left - right).abs() <= right.abs() * 1e-6
    }

    #[test]
    fn a_line_is_found_again() {
        for sizes in [&[6144.0, 24_576.0][..], &[4096.0, 8192.0, 16_384.0, 131_072.0]] {
            let cost = Cost::fit(&line(3.5e-6, 2e-10, sizes)).unwrap();
            assert!(
                is_near(cost.burst, 3.5e-6) && is_near(cost.byte, 2e-10),
                "{cost:?}"
            );
        }
    }

    #[test]
    fn no_part_is_negative() {
        let falling = [(4096.0, 9e-6), (65_536.0, 3e-6)].map(|(bytes, seconds)| Sample { bytes, seconds });
        let cost = Cost::fit(&falling).unwrap();
        assert!(
            cost.byte == 0.0 && cost.burst > 3e-6 && cost.burst < 9e-6,
            "{cost:?}"
        );
        let steep = [(1000.0, 1e-6), (2000.0, 4e-6)].map(|(bytes, seconds)| Sample { bytes, seconds });
        let cost = Cost::fit(&steep).unwrap();
        assert!(
            cost.burst == 0.0 && cost.byte > 1e-9 && cost.byte < 2e-9,
            "{cost:?}"
        );
    }

    #[test]
    fn what_says_nothing_is_no_cost() {
        assert_eq!(Cost::fit(&[]), None);
        assert_eq!(Cost::fit(&line(3e-6, 1e-10, &[6144.0, 6144.0])), None, "one size");
        let broken = [(0.0, 1e-6), (1.0, 0.0), (1.0, f64::NAN), (f64::INFINITY, 1e-6)];
        assert_eq!(
            Cost::fit(&broken.map(|(bytes, seconds)| Sample { bytes, seconds })),
            None
        );
    }

    #[test]
    fn larger_bursts_carry_more() {
        let cost = Cost {
            burst: 4e-6,
            byte: 4e-10,
        };
        // 10,000 bytes a burst: 4 µs and 4 µs.
        let carried = cost.bytes_per_second(200_000.0, Duration::from_millis(50));
        assert!(is_near(carried, 10_000.0 / 8e-6), "{carried}");
        assert!(cost.bytes_per_second(200_000.0, Duration::from_millis(250)) > carried);
        let free = Cost {
            burst: 0.0,
            byte: 0.0,
        };
        assert_eq!(free.bytes_per_second(1.0, Duration::ZERO), f64::INFINITY);
    }
}
