//! Programs that do as they should, and all the others.

use super::*;

const TOKEN: &str = "relay-join-1.c2VjcmV0";

const TOLD: Told<'_> = Told {
    edges: 3,
    use_percent: 72,
    join: TOKEN,
};

/// A time limit that no test reaches.
const LONG: Duration = Duration::from_secs(60);

fn shell(script: &str, limit: Duration) -> Hook {
    let arguments = ["-c".to_owned(), script.to_owned()];
    Hook::new(Path::new("/bin/sh"), &arguments, limit)
}

async fn run(script: &str, limit: Duration) -> Run {
    shell(script, limit).run(&TOLD, &CancellationToken::new()).await
}

#[tokio::test]
async fn it_is_told_what_it_needs_and_nothing_else() {
    let script = "echo $RELAY_EDGES $RELAY_USE_PERCENT $RELAY_JOIN; echo $PATH; pwd; cat; env | cut -d= -f1 | tr '\\n' ' '";
    let ended = run(script, LONG).await;
    assert_eq!(ended.end.label(), "ok");
    let lines = ended.said.last_lines();
    assert_eq!(lines[..3], ["3 72 [join token]", PATH, "/"]);
    // The shell adds the last three itself.
    let ours = [
        "PATH",
        "RELAY_EDGES",
        "RELAY_USE_PERCENT",
        "RELAY_JOIN",
        "PWD",
        "SHLVL",
        "_",
    ];
    for name in lines[3].split_whitespace() {
        assert!(ours.contains(&name) || INHERITED.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn its_failure_is_told_with_its_last_words() {
    let ended = run("echo one; echo no quota >&2; exit 3", LONG).await;
    assert!(matches!(&ended.end, End::Exited(status) if status.code() == Some(3)));
    assert_eq!(
        (ended.end.label(), ended.end.may_have_started()),
        ("failed", false)
    );
    assert_eq!(ended.end.to_string(), "it ended with exit status: 3");
    let mut lines = ended.said.last_lines();
    lines.sort();
    assert_eq!(lines, ["no quota", "one"]);
}

#[tokio::test]
async fn one_that_is_none_is_not_started() {
    let none = Hook::new(Path::new("/none/at/all"), &[], LONG);
    let ended = none.run(&TOLD, &CancellationToken::new()).await;
    assert_eq!(
        (ended.end.label(), ended.end.may_have_started()),
        ("not_started", false)
    );
}

/// Whether a process is there, and is no mere remnant.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
    state == Some(false)
}

async fn is_gone(pid: &str) {
    let gone = async {
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

/// One that asks not to be ended is ended all the same, and whatever it started.
#[tokio::test]
async fn one_that_hangs_is_ended_with_its_children() {
    for (script, waits) in [
        ("sleep 1000 & echo $!; sleep 1000", false),
        (
            "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done",
            true,
        ),
    ] {
        let limit = Duration::from_millis(300);
        let ended = run(script, limit).await;
        println!("hook: limit 0.3 s, ended after {:.2?}", ended.took);
        assert_eq!(
            (ended.end.label(), ended.end.may_have_started()),
            ("timed_out", true)
        );
        assert!(ended.took >= limit, "{:?}", ended.took);
        assert_eq!(ended.took >= limit + GRACE, waits, "{:?}", ended.took);
        let lines = ended.said.last_lines();
        is_gone(lines[0].trim()).await;
    }
}

/// One that ends leaves nobody behind who holds its output open for ever; one with a session of its own may stay.
#[tokio::test]
async fn what_it_leaves_in_its_group_ends_with_it() {
    // It goes on once the other has its session: until then that is of the group like any.
    let script = "sleep 1000 & echo $!; setsid sleep 1000 & other=$!; \
        until [ \"$(cut -d' ' -f6 /proc/$other/stat)\" = $other ]; do :; done; echo $other";
    let ended = run(script, LONG).await;
    assert_eq!(ended.end.label(), "ok");
    let lines = ended.said.last_lines();
    is_gone(&lines[0]).await;
    assert!(is_alive(&lines[1]), "{lines:?}");
    let own = lines[1].parse().ok().and_then(Pid::from_raw).unwrap();
    rustix::process::kill_process(own, Signal::KILL).unwrap();
    assert!(
        ended.took < LONG,
        "somebody outside holds the pipe, which is not waited for"
    );
}

#[tokio::test]
async fn one_that_prints_without_end_is_ended() {
    let ended = run("head -c 100000000 /dev/zero; sleep 1000", LONG).await;
    println!(
        "hook: 100 MB printed, ended after {:.2?} and {} bytes",
        ended.took,
        ended.said.bytes()
    );
    assert!(matches!(ended.end, End::TooLoud));
    assert_eq!(ended.end.label(), "failed");
    assert!(
        ended.said.bytes() < MAX_OUTPUT + 64 * 1024,
        "{}",
        ended.said.bytes()
    );
    let endless = run("trap '' TERM; while :; do echo yes; done", LONG).await;
    assert!(matches!(endless.end, End::TooLoud));
    let lines = endless.said.last_lines();
    assert_eq!(lines[0], "yes");
    assert!(
        lines
            .last()
            .unwrap()
            .ends_with("bytes were printed, of which this is the end)")
    );
}

#[tokio::test]
async fn it_ends_with_the_origin() {
    let stop = CancellationToken::new();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { shell("echo up; sleep 1000", LONG).run(&TOLD, &stop).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    let ended = running.await.unwrap();
    assert!(matches!(ended.end, End::Stopped), "{:?}", ended.end);
    assert!(ended.took < GRACE, "{:?}", ended.took);
}

#[tokio::test]
async fn one_that_closes_its_output_is_waited_for_all_the_same() {
    let ended = run("exec >&- 2>&-; sleep 0.3; exit 4", LONG).await;
    assert!(matches!(&ended.end, End::Exited(status) if status.code() == Some(4)));
}
