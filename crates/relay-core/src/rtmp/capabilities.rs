//! What either side of a connection says of Enhanced RTMP, in `connect` and in the answer to it (R32). (Enhanced RTMP v2,
//! "Enhancing NetConnection connect command".)

use std::fmt;

use crate::amf0::Value;
use crate::codec::Codec;

/// The name that stands for every codec.
const ANY: &str = "*";

/// How many codecs of a peer's are remembered: twice as many as have a FourCC there.
const MAX_CODECS: usize = 32;

/// The flags of `capsEx`.
mod extended {
    pub(super) const RECONNECT: u32 = 0x01;
    pub(super) const MULTITRACK: u32 = 0x02;
    pub(super) const MOD_EX: u32 = 0x04;
    pub(super) const NANO_OFFSET: u32 = 0x08;
}

/// What one side can do beyond the RTMP of 2012.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It asks its clients to connect anew, or does so when it is asked (R35).
    pub reconnect: bool,
    /// It takes messages of several tracks.
    pub multitrack: bool,
    /// It takes modifiers before a packet.
    pub mod_ex: bool,
    /// It takes offsets of nanoseconds.
    pub nano_offset: bool,
    /// Video codecs.
    pub video: Codecs,
    /// Audio codecs.
    pub audio: Codecs,
}

/// What can be done with a codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ability(u8);

/// Codecs, and what can be done with each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    /// With every codec, whatever is said of it by name.
    any: Ability,
    named: Vec<(Codec, Ability)>,
}

impl Capabilities {
    /// What a relay can do: pass everything on untouched (R33); and, an origin, ask its encoders to connect anew.
    pub fn of_relay(reconnect: bool) -> Self {
        let forwards = Codecs {
            any: Ability::FORWARD,
            named: Vec::new(),
        };
        Self {
            reconnect,
            multitrack: true,
            mod_ex: true,
            nano_offset: true,
            video: forwards.clone(),
            audio: forwards,
        }
    }

    /// What a peer says in `connect`, or in the answer to it; `None` if it says nothing of the kind. What is of no use is
    /// as if it were not said.
    pub fn of(object: &Value) -> Option<Self> {
        let list = object.get("fourCcList");
        let [video, audio] = ["videoFourCcInfoMap", "audioFourCcInfoMap"].map(|name| object.get(name));
        let flags = object.get("capsEx").map(|flags| bits(flags, u32::MAX));
        if list.is_none() && video.is_none() && audio.is_none() && flags.is_none() {
            return None;
        }
        let has = |flag| flags.unwrap_or_default() & flag != 0;
        Some(Self {
            reconnect: has(extended::RECONNECT),
            multitrack: has(extended::MULTITRACK),
            mod_ex: has(extended::MOD_EX),
            nano_offset: has(extended::NANO_OFFSET),
            video: Codecs::of(list, video),
            audio: Codecs::of(list, audio),
        })
    }

    /// The properties that say so, in the form of today and in the older one.
    pub fn properties(&self) -> Vec<(String, Value)> {
        let flags = [
            (self.reconnect, extended::RECONNECT),
            (self.multitrack, extended::MULTITRACK),
            (self.mod_ex, extended::MOD_EX),
            (self.nano_offset, extended::NANO_OFFSET),
        ];
        let flags = flags
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, flag)| flag)
            .sum::<u32>();
        let mut properties = Vec::new();
        let list = self.video.listed(&self.audio);
        if !list.is_empty() {
            properties.push(("fourCcList".to_owned(), Value::StrictArray(list)));
        }
        for (name, codecs) in [
            ("videoFourCcInfoMap", &self.video),
            ("audioFourCcInfoMap", &self.audio),
        ] {
            if !codecs.is_empty() {
                properties.push((name.to_owned(), codecs.to_value()));
            }
        }
        properties.push(("capsEx".to_owned(), f64::from(flags).into()));
        properties
    }
}

impl Ability {
    /// To show it.
    pub const DECODE: Self = Self(0x01);
    /// To make it.
    pub const ENCODE: Self = Self(0x02);
    /// To pass it on.
    pub const FORWARD: Self = Self(0x04);

    /// This and that.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the other is in it.
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Codecs {
    /// The older list names what is supported, without saying how: taken as whatever the client then does with it.
    fn of(list: Option<&Value>, map: Option<&Value>) -> Self {
        let mut codecs = Self::default();
        if let Some(Value::StrictArray(names)) = list {
            let supported = Ability::DECODE.and(Ability::ENCODE);
            for name in names.iter().filter_map(Value::as_str) {
                codecs.add(name, if name == ANY { Ability::FORWARD } else { supported });
            }
        }
        for (name, flags) in map.map(Value::properties).unwrap_or_default() {
            let [.., flags] = bits(flags, 0xFF).to_be_bytes();
            codecs.add(name, Ability(flags));
        }
        codecs
    }

    fn add(&mut self, name: &str, ability: Ability) {
        if name == ANY {
            self.any = self.any.and(ability);
            return;
        }
        let Ok(four_cc) = name.as_bytes().try_into() else {
            return;
        };
        let codec = Codec(four_cc);
        let known = self.named.iter_mut().find(|(known, _)| *known == codec);
        if let Some((_, known)) = known {
            *known = known.and(ability);
        } else if self.named.len() < MAX_CODECS {
            self.named.push((codec, ability));
        }
    }

    /// What can be done with a codec.
    pub fn ability(&self, codec: Codec) -> Ability {
        let named = self.named.iter().find(|(known, _)| *known == codec);
        self.any
            .and(named.map(|(_, ability)| *ability).unwrap_or_default())
    }

    fn is_empty(&self) -> bool {
        self.any == Ability::default() && self.named.is_empty()
    }

    /// All the names of both, each once, as the older list has them.
    fn listed(&self, other: &Self) -> Vec<Value> {
        if [self, other]
            .iter()
            .any(|codecs| codecs.any != Ability::default())
        {
            return vec![ANY.into()];
        }
        let mut names: Vec<_> = self
            .named
            .iter()
            .chain(&other.named)
            .map(|(codec, _)| codec.0)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .iter()
            .map(|name| Value::String(String::from_utf8_lossy(name).into_owned()))
            .collect()
    }

    fn to_value(&self) -> Value {
        let any = (self.any != Ability::default()).then(|| (ANY.to_owned(), f64::from(self.any.0).into()));
        let named = self.named.iter().map(|(codec, ability)| {
            let name = String::from_utf8_lossy(&codec.0).into_owned();
            (name, f64::from(ability.0).into())
        });
        Value::Object(any.into_iter().chain(named).collect())
    }
}

/// A number as flags; what is none, is out of range or has a fraction is no flag at all.
fn bits(value: &Value, most: u32) -> u32 {
    let number = value.as_number().unwrap_or_default();
    let whole = number as u32; // a cast from a double saturates
    if f64::from(whole) == number && whole <= most {
        whole
    } else {
        0
    }
}

/// Codecs as a log line shows them.
impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any != Ability::default() {
            return f.write_str("any");
        }
        for (number, (codec, _)) in self.named.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}", codec.0.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEVC: Codec = Codec(*b"hvc1");
    const OPUS: Codec = Codec(*b"Opus");

    #[test]
    fn r32_both_forms_are_read() {
        let plain = Value::object([("app", "live".into())]);
        assert_eq!(Capabilities::of(&plain), None, "a client of 2012");

        let list = Value::StrictArray(vec!["hvc1".into(), "Opus".into(), 7.0.into(), "toolong".into()]);
        let old = Capabilities::of(&Value::object([("fourCcList", list)])).unwrap();
        assert!(
            old.video
                .ability(HEVC)
                .includes(Ability::DECODE.and(Ability::ENCODE))
        );
        assert!(old.audio.ability(OPUS).includes(Ability::ENCODE));
        assert_eq!(old.video.ability(Codec::AVC), Ability::default());
        assert!(!old.reconnect);
        assert_eq!(old.video.to_string(), "hvc1,Opus");

        let video = Value::EcmaArray(vec![
            ("*".to_owned(), 4.0.into()),
            ("hvc1".to_owned(), 1.0.into()),
        ]);
        let audio = Value::object([
            ("Opus", 7.0.into()),
            ("mp4a", (-1.0).into()),
            (".mp3", Value::Null),
        ]);
        let new = Value::object([
            ("videoFourCcInfoMap", video),
            ("audioFourCcInfoMap", audio),
            ("capsEx", 5.0.into()),
        ]);
        let new = Capabilities::of(&new).unwrap();
        assert!(new.reconnect && new.mod_ex && !new.multitrack && !new.nano_offset);
        assert!(
            new.video
                .ability(HEVC)
                .includes(Ability::FORWARD.and(Ability::DECODE)),
            "named and any"
        );
        assert!(new.video.ability(OPUS).includes(Ability::FORWARD), "any");
        assert!(
            !new.audio.ability(Codec::AAC).includes(Ability::DECODE),
            "nonsense is no flag"
        );
        assert_eq!(new.video.to_string(), "any");
    }

    #[test]
    fn r32_what_is_said_is_understood() {
        for reconnect in [true, false] {
            let ours = Capabilities::of_relay(reconnect);
            let said = Value::Object(ours.properties());
            assert_eq!(Capabilities::of(&said).as_ref(), Some(&ours));
            assert_eq!(
                said.get("fourCcList"),
                Some(&Value::StrictArray(vec!["*".into()]))
            );
            assert_eq!(
                said.get("videoFourCcInfoMap").unwrap().get("*"),
                Some(&4.0.into())
            );
            let flags = if reconnect { 15.0 } else { 14.0 };
            assert_eq!(said.get("capsEx"), Some(&flags.into()));
        }
        let only = Capabilities {
            reconnect: true,
            ..Capabilities::default()
        };
        assert_eq!(only.properties(), [("capsEx".to_owned(), 1.0.into())]);
    }

    #[test]
    fn r32_a_peer_names_no_more_codecs_than_there_are() {
        let names = (0..1000)
            .map(|number| Value::String(format!("{number:04}")))
            .collect();
        let many = Capabilities::of(&Value::object([("fourCcList", Value::StrictArray(names))])).unwrap();
        assert_eq!(many.video.named.len(), MAX_CODECS);
    }
}
