//! Tracks by the overlap of boxes (Bochinski, Eiselein, Sikora: High-Speed Tracking-by-Detection Without Using Image
//! Information), with lives for frames without a detection and a second, lower overlap.

use std::collections::VecDeque;

use mesh_model::{TrackRule, Tracker as Spec};

use crate::state::{Damage, Reader, Writer};

/// A box with what was seen in it.
#[derive(Debug, Clone)]
pub(super) struct Detection {
    pub score: f64,
    pub label: String,
    /// Left, top, width, height.
    pub rect: [f64; 4],
}

/// An object over several frames.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Track {
    /// From 1.
    pub id: i64,
    pub label: String,
    /// Of this frame's detection.
    pub score: Option<f64>,
    /// The last detection's.
    pub rect: [f64; 4],
    /// Middles of its boxes, oldest first.
    pub middles: VecDeque<[f64; 2]>,
    /// Mean step of the middle, from detection to detection.
    pub velocity: [f64; 2],
    best: f64,
    /// Detections.
    length: u32,
    /// Frames since the last detection.
    missed: u32,
}

/// The tracks that live.
pub(super) struct Tracks {
    rule: TrackRule,
    /// By number.
    tracks: Vec<Track>,
    next: i64,
}

impl Tracks {
    pub(super) fn new(rule: &TrackRule) -> Tracks {
        Tracks { rule: rule.clone(), tracks: Vec::new(), next: 1 }
    }

    /// Takes the detections of the next frame.
    pub(super) fn frame(&mut self, mut found: Vec<Detection>) {
        let rule = &self.rule;
        found.retain(|detection| detection.score >= rule.score_low);
        let mut free: Vec<Option<Detection>> = found.into_iter().map(Some).collect();
        self.tracks.iter_mut().for_each(|track| track.score = None);
        let mut passes = vec![rule.overlap];
        passes.extend((rule.overlap_second < rule.overlap).then_some(rule.overlap_second));
        for least in passes {
            // Older tracks choose first.
            for track in self.tracks.iter_mut().filter(|track| track.score.is_none()) {
                if let Some(at) = nearest(&track.rect, &free, least) {
                    let detection = free[at].take().expect("the nearest is one that is free");
                    track.take(detection, rule);
                }
            }
        }
        for track in self.tracks.iter_mut().filter(|track| track.score.is_none()) {
            track.missed += 1;
        }
        self.tracks
            .retain(|track| track.score.is_some() || track.missed <= rule.lives && track.length >= rule.min_length);
        let known = self.tracks.len();
        for detection in free.into_iter().flatten() {
            let seen = self.tracks[..known].iter().filter(|track| track.score.is_some());
            let duplicate = |track: &Track| overlap(&track.rect, &detection.rect) >= rule.overlap_duplicate;
            if rule.overlap_duplicate > 0.0 && seen.into_iter().any(duplicate) {
                continue;
            }
            let mut track = Track {
                id: self.next,
                label: String::new(),
                score: None,
                rect: detection.rect,
                middles: VecDeque::new(),
                velocity: [0.0; 2],
                best: 0.0,
                length: 0,
                missed: 0,
            };
            track.take(detection, rule);
            self.tracks.push(track);
            self.next += 1;
        }
    }

    /// The tracks that go out for the last frame, by number.
    pub(super) fn out(&self, spec: &Spec) -> Vec<&Track> {
        let goes = |track: &&Track| {
            track.best >= self.rule.score_high
                && (spec.newborn || track.length >= self.rule.min_length)
                && (spec.unscored || track.score.is_some())
        };
        self.tracks.iter().filter(goes).take(spec.limit).collect()
    }

    /// Number of tracks and their bytes.
    pub(super) fn held(&self) -> (u64, u64) {
        let of = |track: &Track| size_of::<Track>() + track.label.len() + track.middles.len() * size_of::<[f64; 2]>();
        (self.tracks.len() as u64, self.tracks.iter().map(of).sum::<usize>() as u64)
    }

    pub(super) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.next);
        to.length(self.tracks.len());
        for track in &self.tracks {
            to.put(&(track.id, track.score, track.rect));
            to.put(&track.label);
            to.put(&track.middles);
            to.put(&(track.velocity, track.best, track.length, track.missed));
        }
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.next = from.get()?;
        let (tracks, _) = from.length()?;
        for _ in 0..tracks {
            let (id, score, rect) = from.get()?;
            let (label, middles) = (from.get()?, from.get()?);
            let (velocity, best, length, missed) = from.get()?;
            self.tracks.push(Track { id, label, score, rect, middles, velocity, best, length, missed });
        }
        Ok(())
    }
}

/// Most middles of a track that go out.
pub(super) fn shown(rule: &TrackRule) -> usize {
    if rule.retention == 0 { Spec::POSITIONS_MAX } else { rule.retention }
}

impl Track {
    fn take(&mut self, detection: Detection, rule: &TrackRule) {
        let [x, y, w, h] = detection.rect;
        self.rect = detection.rect;
        self.score = Some(detection.score);
        self.label = detection.label;
        self.best = self.best.max(detection.score);
        self.length = self.length.saturating_add(1);
        self.missed = 0;
        let now = [x + w / 2.0, y + h / 2.0];
        self.middles.push_back(now);
        let steps = rule.velocity_frames.min(self.middles.len() - 1);
        if steps > 0 {
            let before = self.middles[self.middles.len() - 1 - steps];
            self.velocity = [0, 1].map(|axis| (now[axis] - before[axis]) / steps as f64);
        }
        let keep = shown(rule).max(rule.velocity_frames + 1);
        while self.middles.len() > keep {
            self.middles.pop_front();
        }
    }
}

/// The free detection that overlaps a box most, and at least so much; of several the first.
fn nearest(rect: &[f64; 4], free: &[Option<Detection>], least: f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, detection) in free.iter().enumerate() {
        let Some(detection) = detection else { continue };
        let overlap = overlap(rect, &detection.rect);
        if overlap >= least && overlap > 0.0 && best.is_none_or(|(_, most)| overlap > most) {
            best = Some((at, overlap));
        }
    }
    best.map(|(at, _)| at)
}

/// Area of the intersection by that of the union; 0 for boxes without an area.
fn overlap(one: &[f64; 4], other: &[f64; 4]) -> f64 {
    let side = |axis: usize| {
        let (from, to) = (one[axis].max(other[axis]), (one[axis] + one[axis + 2]).min(other[axis] + other[axis + 2]));
        (to - from).max(0.0)
    };
    let shared = side(0) * side(1);
    let area = |rect: &[f64; 4]| rect[2].max(0.0) * rect[3].max(0.0);
    let union = area(one) + area(other) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}
