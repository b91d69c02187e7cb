# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# ./run gpu-search: a whole search on a card: supernet, candidates, final networks, and whether that came out as wanted:
# at least 1,000 candidates evaluated and 3 networks trained to the end inside 8 minutes, the chosen one right about 90 % of
# CIFAR-10's test images at 10M average MACs at most.
#
#   ./run gpu-search [--data-dir DIR] [--config FILE] [--seconds N] [--again]
#
# A call ends after N seconds (at most and by default 520) and the next one goes on; the seconds of all calls are added. The
# settings (bench/card/search.toml unless --config names others) were chosen from trainings on CPUs: no card has proven
# them.
#
# The data: DIR, else $OFFRAMP_DATA, else build/data, holds cifar-10-batches-bin/ with data_batch_1.bin to data_batch_5.bin and
# test_batch.bin, 29.3 MiB each. Where not more than 64 MiB can be carried to the card's machine at once, carry two files at
# a time to the same place (the build is a load of its own); what is not there yet is named, before anything else is run.

wanted_seconds=480 wanted_candidates=1000 wanted_networks=3 wanted_accuracy=0.90 wanted_macs=10000000

# search_part OFFRAMP CONFIG DATA_DIR OUT SECONDS: begins or goes on; 124, as of what timed out, when there is more to do.
search_part() {
  local offramp=$1 config=$2 data=$3 out=$4 begin=$EPOCHREALTIME rc=0 way
  local words=(--device cuda --data-dir "$data" --max-seconds "$5")
  # What stops this stops offramp too, which saves; the time is still to be noted then. Who is killed has taken all of it.
  trap : TERM
  echo $(($5 + 15)) >>"$out.seconds"
  if [ -f "$out/archive.sqlite" ]; then way=(resume "$out"); else way=(search --config "$config" --out "$out" --force); fi
  "$offramp" "${way[@]}" "${words[@]}" || rc=$?
  sed -i '$d' "$out.seconds"
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", end - begin }' >>"$out.seconds"
  if [ "$rc" -eq 130 ]; then rc=124; fi
  return "$rc"
}

# json_number FILE KEY: the first one of that name.
json_number() { grep -oE "\"$2\": *[0-9.e+-]+" "$1" | head -1 | grep -oE '[0-9.e+-]+$'; }

# search_figures OFFRAMP DATA_DIR OUT CANDIDATES NETWORKS SECONDS ACCURACY MACS: what came out and whether it is what is
# wanted. The chosen network is tested anew, exits really taken.
search_figures() {
  local offramp=$1 data=$2 out=$3 set networks
  set=$(sed -n 's/^data = "\(.*\)"/\1/p' "$out/run.toml")
  # Phases that earlier calls have ended; those of the last one are in its own output.
  if [ -f "$out.log" ]; then grep ' took ' "$out.log" || true; fi
  networks=$(find "$out/models" -name '*.safetensors' | wc -l)
  "$offramp" compare "$out" --json >"$out.json"
  "$offramp" eval --model "$out/chosen.safetensors" --data "$set" --data-dir "$data" --device cuda --json >"$out.eval.json"
  awk -v evaluated="$(json_number "$out.json" evaluated)" -v failed="$(json_number "$out.json" failed)" \
    -v networks="$networks" -v accuracy="$(json_number "$out.eval.json" accuracy)" \
    -v macs="$(json_number "$out.eval.json" avg_macs)" -v candidates="$4" -v finals="$5" -v most="$6" -v least="$7" \
    -v most_macs="$8" '
    function verdict(good) { if (!good) missed = 1; return good ? "as wanted" : "MISSED" }
    { seconds += $1 }
    END {
      printf "search  candidates  %d evaluated, %d of them failed; wanted %d: %s\n", evaluated, failed, candidates,
        verdict(evaluated - failed >= candidates)
      printf "search  networks    %d trained to the end; wanted %d: %s\n", networks, finals, verdict(networks >= finals)
      printf "search  time        %.0f s in %d calls; wanted at most %d: %s\n", seconds, NR, most, verdict(seconds <= most)
      printf "search  accuracy    %.2f %% of the test images; wanted %.0f %%: %s\n", 100 * accuracy, 100 * least,
        verdict(accuracy >= least)
      printf "search  cost        %.2fM average MACs; wanted at most %.0fM: %s\n", macs / 1e6, most_macs / 1e6,
        verdict(macs <= most_macs)
      exit missed
    }' "$out.seconds"
}

card_search_run() {
  local again="" config=bench/card/search.toml data=${OFFRAMP_DATA:-build/data} seconds=520 offramp out set cut
  while [ $# -gt 0 ]; do
    case $1 in
      --again) again=again ;;
      --data-dir | --config | --seconds)
        [ $# -gt 1 ] || fail "gpu-search: $1 needs a value"
        case $1 in --data-dir) data=$2 ;; --config) config=$2 ;; *) seconds=$2 ;; esac
        shift
        ;;
      *) fail "gpu-search: unknown argument '$1' (--data-dir DIR, --config FILE, --seconds N, --again)" ;;
    esac
    shift
  done
  if ! [[ $seconds =~ ^[0-9]{2,3}$ ]] || [ "$seconds" -lt 20 ] || [ "$seconds" -gt 520 ]; then
    fail "gpu-search: --seconds: wanted 20 to 520, got '$seconds'"
  fi
  set=$(sed -n 's/^data = "\(.*\)"/\1/p' "$config") || fail "gpu-search: cannot read $config"
  [ -n "$set" ] || fail "gpu-search: $config does not say data = \"...\""
  # Other settings are another search.
  if [ -f "$card_root/gpu-search/config.toml" ] && ! cmp -s "$config" "$card_root/gpu-search/config.toml"; then
    say "other settings than before: beginning anew"
    again=again
  fi
  card_begin gpu-search "$seconds" "$again"
  cp "$config" "$dir/config.toml"
  offramp=${binaries[0]} out=$dir/run
  "$offramp" data verify "$set" --data-dir "$data" >/dev/null ||
    fail "gpu-search: $set is not (whole) in '$data': see above; nothing was run"

  # What was cut goes on now and not after the rest, which needs it.
  cut=$(result_file search).cut
  if [ -f "$cut" ]; then cat "$cut" >>"$out.log" && rm "$cut"; fi
  export -f search_part search_figures json_number
  # It stops by itself in front of the limit: between two steps or candidates, which takes a moment.
  part search "$(seconds_left)" command bash -euo pipefail -c 'search_part "$@"' search_part "$offramp" "$dir/config.toml" \
    "$data" "$out" "$(($(seconds_left) - 15))"
  if [ -n "$(state_of search)" ]; then
    part figures 60 command bash -euo pipefail -c 'search_figures "$@"' search_figures "$offramp" "$data" "$out" \
      "$wanted_candidates" "$wanted_networks" "$wanted_seconds" "$wanted_accuracy" "$wanted_macs"
  else
    parts+=(figures)
  fi
  card_report "Offramp on a card: a whole search ($set; settings not proven on a card)" '^search |  took '
}
