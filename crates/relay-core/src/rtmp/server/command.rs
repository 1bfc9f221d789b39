//! What a session does when it is told to.

use super::{Event, Phase, Session, reply};
use crate::amf0::Value;
use crate::rtmp::RtmpError;
use crate::rtmp::address::{self, Address};
use crate::rtmp::capabilities::Capabilities;
use crate::rtmp::command::Command;

impl Session {
    pub(super) fn handle_command(&mut self, command: &Command) -> Result<(), RtmpError> {
        match command.name.as_str() {
            "connect" => self.connect(command),
            "createStream" => {
                self.app.as_ref().ok_or(RtmpError::NotConnected)?;
                self.reply_result(command, reply::STREAM_ID.into());
            }
            "publish" => self.publish(command)?,
            "play" => self.play(command)?,
            "pause" | "pauseRaw" => self.pause(command),
            "deleteStream" | "closeStream" => self.end_stream(),
            "FCPublish" => self.reply_fc_publish(command),
            "FCUnpublish" => {
                self.reply_fc_unpublish(command);
                self.end_publish();
            }
            "FCSubscribe" => self.reply_fc_subscribe(command),
            "getStreamLength" => self.reply_result(command, 0.0.into()),
            // Answers to what we never asked, and statuses: not to be answered in turn.
            "_result" | "_error" | "onStatus" => {}
            // releaseStream, _checkbw, and whatever else wants an answer to go on (R24).
            _ => self.reply_result(command, Value::Undefined),
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command) {
        let text = |name| {
            command
                .object
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        self.app = Some(address::app_of_connect(text("app"), text("tcUrl")));
        self.capabilities = Capabilities::of(&command.object).map(Box::new);
        self.reply_connect(command);
    }

    /// The type of publishing, if any is given, is taken as `live` whatever it says (R25).
    fn publish(&mut self, command: &Command) -> Result<(), RtmpError> {
        let Address {
            app,
            name,
            query,
            secret,
            hops: _,
        } = self.activate(command, Phase::PublishAsked)?;
        self.events.push_back(Event::Publish {
            app,
            name,
            query,
            secret,
        });
        Ok(())
    }

    fn play(&mut self, command: &Command) -> Result<(), RtmpError> {
        let Address {
            app,
            name,
            secret,
            hops,
            ..
        } = self.activate(command, Phase::PlayAsked)?;
        self.events.push_back(Event::Play {
            app,
            name,
            secret,
            hops,
        });
        Ok(())
    }

    fn activate(&mut self, command: &Command, phase: Phase) -> Result<Address, RtmpError> {
        let app = self.app.as_ref().ok_or(RtmpError::NotConnected)?;
        if self.phase != Phase::Idle {
            return Err(RtmpError::AlreadyActive);
        }
        let address = Address::parse(app, command.text(0).unwrap_or_default());
        reply::clipped(&address.name).clone_into(&mut self.name);
        self.phase = phase;
        Ok(address)
    }

    fn pause(&mut self, command: &Command) {
        if self.phase == Phase::Playing {
            let paused = command.arguments.first().and_then(Value::as_bool).unwrap_or(true);
            self.reply_pause(paused);
            self.events.push_back(Event::Pause(paused));
        }
    }

    fn end_stream(&mut self) {
        match self.phase {
            Phase::Publishing => self.end_publish(),
            Phase::Playing => {
                self.phase = Phase::Idle;
                self.events.push_back(Event::StopPlay);
            }
            _ => {}
        }
    }

    fn end_publish(&mut self) {
        if self.phase == Phase::Publishing {
            self.phase = Phase::Idle;
            self.reply_unpublished();
            self.events.push_back(Event::Unpublish);
        }
    }
}
