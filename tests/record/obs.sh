#!/usr/bin/env bash
# obs.sh URL: OBS Studio on a screen that nobody sees, with a profile of its own, streams black and silence until it is interrupted: then OBS
# is killed, and its connection ends without a goodbye.
set -euo pipefail

url=$1
home=$(mktemp -d)
trap 'kill "${obs:-}" "${screen:-}" 2>/dev/null || true; rm -rf "$home"' EXIT
trap 'kill "${obs:-}" 2>/dev/null || true' INT TERM

export HOME=$home XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1
base=$XDG_CONFIG_HOME/obs-studio
mkdir -p "$base/basic/profiles/relay" "$base/basic/scenes"
chmod 700 "$home"

cat >"$base/global.ini" <<END
[General]
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false
FirstRun=true
EnableAutoUpdates=false
LastVersion=486539266
[Basic]
Profile=relay
ProfileDir=relay
SceneCollection=relay
SceneCollectionFile=relay
[BasicWindow]
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
END
cat >"$base/basic/profiles/relay/basic.ini" <<END
[General]
Name=relay
[Video]
BaseCX=160
BaseCY=96
OutputCX=160
OutputCY=96
FPSCommon=10
[Output]
Mode=Simple
Reconnect=false
[SimpleOutput]
VBitrate=50
ABitrate=32
StreamEncoder=x264
Preset=ultrafast
END
cat >"$base/basic/profiles/relay/service.json" <<END
{"type":"rtmp_custom","settings":{"server":"${url%/*}","key":"${url##*/}","use_auth":false,"bwtest":false}}
END

cat >"$base/basic/scenes/relay.json" <<END
{"name":"relay","current_scene":"Scene","current_program_scene":"Scene","scene_order":[{"name":"Scene"}],
"sources":[{"id":"scene","versioned_id":"scene","name":"Scene","settings":{"items":[]}}]}
END

exec 3<>"$home/display"
Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp 2>/dev/null &
screen=$!
until display=$(head -1 "$home/display") && [ -n "$display" ]; do
    kill -0 "$screen"
    sleep 0.1
done
export DISPLAY=:$display

obs --multi --disable-updater --disable-missing-files-check --profile relay --startstreaming >&2 &
obs=$!
# The first wait ends with the interruption, the second with OBS.
wait "$obs" || wait "$obs" || true
