//! The dispatch policy over every combination of three devices, wishes and fallbacks, and its
//! messages. It runs no backend.

use std::sync::Arc;

use corelane_infer::{
    Asked, Decision, Device, DeviceKind, Fallback, InferConfig, RejectedBecause, Request, Severity,
    Snapshot, Unavailable, choose,
};

fn device(kind: DeviceKind, backend: &'static str) -> Device {
    Device { kind, index: 0, name: "test".into(), backend }
}

fn ready(device: Device, run_ns: u64) -> Snapshot {
    Snapshot {
        device,
        unavailable: None,
        is_program_supported: true,
        queued_runs: 0,
        run_ns: Some(run_ns),
        memory_free_bytes: None,
    }
}

/// Every state a device can be in; the first three can be chosen.
fn states(device: &Device) -> Vec<Snapshot> {
    let base = || ready(device.clone(), 1_000);
    let missing = Unavailable::NotPresent { backend: device.backend, missing: "libx".into() };
    vec![
        base(),
        Snapshot { run_ns: Some(400), queued_runs: 1, ..base() },
        Snapshot { run_ns: None, ..base() },
        Snapshot { unavailable: Some(missing), ..base() },
        Snapshot { is_program_supported: false, ..base() },
        Snapshot { queued_runs: 64, ..base() },
        Snapshot { memory_free_bytes: Some(9), ..base() },
    ]
}

fn predicted(s: &Snapshot, config: &InferConfig) -> u64 {
    let one = s.run_ns.unwrap_or(match s.device.kind {
        DeviceKind::Cpu => config.unmeasured_run_ns_cpu,
        _ => config.unmeasured_run_ns_gpu,
    });
    one * (u64::from(s.queued_runs) + 1)
}

fn check(asked: &Asked, fallback: Fallback, snapshots: &[Snapshot], usable: &[bool]) {
    let config = InferConfig::default();
    let request = Request { asked: asked.clone(), program_bytes: 10, fallback: Some(fallback) };
    let decision = choose(&request, snapshots, &config);
    let context = || format!("asked={asked} fallback={fallback} {snapshots:?}\n{decision}");

    // DP-1, in the order of the snapshots.
    let chosen = decision.chosen.as_ref().map(|c| &c.device);
    let others: Vec<_> =
        snapshots.iter().map(|s| &s.device).filter(|d| Some(*d) != chosen).collect();
    let rejected: Vec<_> = decision.rejected.iter().map(|r| &r.device).collect();
    assert_eq!(rejected, others, "DP-1 {}", context());

    // DP-2
    let is_specific = *asked != Asked::default();
    let is_met = chosen.is_some_and(|d| asked.matches(d));
    assert_eq!(decision.unmet.is_some(), is_specific && !is_met, "DP-2 {}", context());

    // DP-3
    if fallback == Fallback::Forbid {
        assert!(chosen.is_none() || is_met, "DP-3 {}", context());
    }

    // DP-4, against a second formulation: filter, then take the minimum.
    let candidates = |is_asked: bool| {
        let fits = |(s, ok): &(&Snapshot, &bool)| **ok && asked.matches(&s.device) == is_asked;
        snapshots.iter().zip(usable).filter(fits).map(|(s, _)| predicted(s, &config)).min()
    };
    let best = match fallback {
        Fallback::Forbid => candidates(true),
        _ => candidates(true).or_else(|| candidates(false)),
    };
    assert_eq!(decision.chosen.as_ref().map(|c| c.cost_ns), best, "DP-4 {}", context());
}

#[test]
fn the_invariants_hold_in_every_small_case() {
    let devices = [
        device(DeviceKind::Cpu, "tract"),
        device(DeviceKind::Gpu, "cuda"),
        device(DeviceKind::Gpu, "wgpu"),
    ];
    let wishes = [
        Asked::default(),
        Asked { kind: Some(DeviceKind::Gpu), ..Asked::default() },
        Asked { kind: Some(DeviceKind::Npu), ..Asked::default() },
        Asked { backend: Some("tract".into()), ..Asked::default() },
        Asked { index: Some(0), backend: Some("wgpu".into()), kind: Some(DeviceKind::Gpu) },
    ];
    let mut cases = 0;
    let count = states(&devices[0]).len();
    for case in 0..count.pow(3) {
        let picks = [case % count, case / count % count, case / count / count];
        let snapshots: Vec<_> =
            devices.iter().zip(picks).map(|(d, pick)| states(d).swap_remove(pick)).collect();
        let usable = picks.map(|pick| pick < 3);
        for asked in &wishes {
            for fallback in [Fallback::Forbid, Fallback::Warn, Fallback::Allow] {
                check(asked, fallback, &snapshots, &usable);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 343 * 15);
}

fn ask_for_gpu(fallback: Fallback, gpu: Option<Snapshot>) -> Decision {
    let request = Request {
        asked: Asked { kind: Some(DeviceKind::Gpu), ..Asked::default() },
        program_bytes: 0,
        fallback: Some(fallback),
    };
    let cpu = ready(device(DeviceKind::Cpu, "tract"), 5_000);
    let snapshots: Vec<_> = [Some(cpu), gpu].into_iter().flatten().collect();
    choose(&request, &snapshots, &InferConfig::default())
}

#[test]
fn every_fallback_reports_the_unmet_wish_at_its_own_severity() {
    for (fallback, severity, is_run) in [
        (Fallback::Forbid, Severity::Error, false),
        (Fallback::Warn, Severity::Warning, true),
        (Fallback::Allow, Severity::Info, true),
    ] {
        let decision = ask_for_gpu(fallback, None);
        let unmet = decision.unmet.unwrap();
        assert_eq!((unmet.severity, unmet.is_unknown), (severity, true));
        assert_eq!(decision.chosen.is_some(), is_run);
    }
}

#[test]
fn the_reason_names_which_of_the_three_absences_it_is() {
    let gpu = device(DeviceKind::Gpu, "cuda");
    let absences = [
        (Unavailable::NotCompiledIn { backend: "cuda", feature: "cuda" }, "not compiled in"),
        (
            Unavailable::NotPresent { backend: "cuda", missing: "libcuda.so.1".into() },
            "not present on this machine",
        ),
        (
            Unavailable::Failed { backend: "cuda", cause: Arc::new(std::io::Error::other("ecc")) },
            "present but failed",
        ),
    ];
    for (unavailable, words) in absences {
        let absent = Snapshot { unavailable: Some(unavailable), ..ready(gpu.clone(), 1) };
        let decision = ask_for_gpu(Fallback::Warn, Some(absent));
        assert!(!decision.unmet.as_ref().unwrap().is_unknown);
        assert!(matches!(decision.rejected[0].because, RejectedBecause::Unavailable(_)));
        let text = decision.to_string();
        assert!(text.contains(words) && text.contains("asked=gpu:*/*"), "{text}");
    }
}

#[test]
fn a_wish_beats_a_lower_cost_and_the_loser_is_told_so() {
    let gpu = ready(device(DeviceKind::Gpu, "cuda"), 90_000);
    let decision = ask_for_gpu(Fallback::Allow, Some(gpu));
    assert_eq!(decision.chosen.unwrap().device.kind, DeviceKind::Gpu);
    assert!(decision.unmet.is_none());
    assert!(matches!(decision.rejected[0].because, RejectedBecause::NotAsked));
}

#[test]
fn equal_costs_go_to_the_lower_kind() {
    let snapshots =
        [ready(device(DeviceKind::Gpu, "cuda"), 7), ready(device(DeviceKind::Cpu, "tract"), 7)];
    let decision = choose(&Request::default(), &snapshots, &InferConfig::default());
    assert_eq!(decision.chosen.unwrap().device.backend, "tract");
    assert!(matches!(
        decision.rejected[0].because,
        RejectedBecause::Costlier { cost_ns: 7, chosen_ns: 7 }
    ));
}
