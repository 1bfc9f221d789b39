//! ffmpeg publishes the clip; ffmpeg and rtmpdump at the second tier get it without one error.

use anyhow::{Result, ensure};
use relay_core::flv::TagKind;
use relay_tests::cluster::Cluster;
use relay_tests::flv::Reader;
use relay_tests::process::Process;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::tools::{ffmpeg_decodes, ffmpeg_decodes_http10, ffmpeg_publishes, ffprobe, program};
use relay_tests::wait::until;
use rustix::process::Signal;

const STREAM: &str = "live/bunny";

/// What each decoder has to decode.
const SECONDS: u32 = 6;

#[test]
fn ffmpeg_and_rtmpdump_at_the_second_tier() {
    story("ffmpeg_publishes", Turn::Beside, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let url = cluster.origin.publish_url(STREAM).await?;
        let _ffmpeg = ffmpeg_publishes(stage, "ffmpeg publishes", &url)?;
        cluster.deep.shows(STREAM).await?;
        let (http, rtmp) = (cluster.deep.flv(STREAM), cluster.deep.rtmp(STREAM));

        ffmpeg_decodes(&http, SECONDS, &[]).await?;
        ffmpeg_decodes_http10(&http, SECONDS).await?;
        ffmpeg_decodes(&rtmp, SECONDS, &["-rtmp_live", "live"]).await?;
        rtmpdump_records(stage, &rtmp).await?;

        // Metadata that is stamped with a time makes ffprobe tell of a data stream, too.
        let found = ffprobe(&http).await?;
        for (kind, codec) in [("video", "h264"), ("audio", "aac")] {
            let streams = found["streams"].as_array().into_iter().flatten();
            let of_kind: Vec<_> = streams.filter(|stream| stream["codec_type"] == kind).collect();
            ensure!(
                of_kind.len() == 1 && of_kind[0]["codec_name"] == codec,
                "not one {codec}: {found}"
            );
        }
        Ok(())
    });
}

/// rtmpdump writes what it gets into a file, which must be whole and decode without a complaint.
async fn rtmpdump_records(stage: &Stage, url: &str) -> Result<()> {
    let file = stage.folder().join("dump.flv");
    let mut rtmpdump = program("rtmpdump")?;
    rtmpdump.args(["--live", "-r", url, "-o"]).arg(&file);
    let mut rtmpdump = Process::spawn(stage, "rtmpdump", &mut rtmpdump)?;
    let recorded = until("rtmpdump to record enough", async || {
        let mut reader = Reader::default();
        reader.push(&std::fs::read(&file).ok()?).ok()?;
        let videos = reader
            .take_messages()
            .into_iter()
            .filter(|m| m.kind == TagKind::Video);
        let times: Vec<u32> = videos.map(|m| m.time).collect();
        (times.last()? - times.first()? >= SECONDS * 1000).then_some(())
    });
    recorded.await?;
    rtmpdump.signal(Signal::INT)?;
    rtmpdump.ended().await?;
    ffmpeg_decodes(&file.to_string_lossy(), SECONDS - 1, &[]).await
}
