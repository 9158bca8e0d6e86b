//! STFT and Cepstrum: spectra of windows of a signal.

use std::f64::consts::PI;

use mesh_event::Value;
use mesh_model::Settings;

use super::event::{Event, list};
use super::fft::{Complex, Fft};
use super::recent::Frames;
use super::{Method, Results, taper};
use crate::state::{Damage, Reader, Writer};

/// Windows of a signal, each through a taper and a transform.
struct Spectra {
    frames: Frames,
    taper: Vec<f64>,
    fft: Fft,
    /// Length of the transform.
    bins: usize,
}

impl Spectra {
    fn new(settings: &Settings, bins: usize) -> Spectra {
        let length = settings.count("windowLength");
        let bins = if bins == 0 { length } else { bins };
        Spectra {
            frames: Frames::new(length, settings.count("overlap")),
            taper: taper::of(settings, length),
            fft: Fft::new(bins),
            bins,
        }
    }

    fn push(&mut self, value: f64) -> Option<Vec<Complex>> {
        let frame = self.frames.push(value)?;
        let mut values: Vec<Complex> =
            frame.iter().zip(&self.taper).map(|(value, taper)| (value * taper, 0.0)).collect();
        values.resize(self.bins, (0.0, 0.0));
        let mut spectrum = self.fft.transform(values);
        // Of real values the second half mirrors the first, and the bins that mirror themselves are real: rounding must
        // not turn a phase of pi into -pi.
        for bin in 0..=self.bins / 2 {
            let mirrored = (self.bins - bin) % self.bins;
            let (re, im) = spectrum[bin];
            if mirrored == bin {
                spectrum[bin] = (re, 0.0);
            } else {
                spectrum[mirrored] = (re, -im);
            }
        }
        Some(spectrum)
    }
}

pub(crate) struct Stft {
    spectra: Spectra,
    in_schema: bool,
}

impl Stft {
    pub(crate) fn new(settings: &Settings) -> Stft {
        Stft { spectra: Spectra::new(settings, settings.count("fftLength")), in_schema: settings.flag("binsInSchema") }
    }
}

impl Method for Stft {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(spectrum) = event.number(0).and_then(|value| self.spectra.push(value)) else { return };
        let power = |(re, im): &Complex| re * re + im * im;
        let phase = |(re, im): &Complex| libm::atan2(*im, *re);
        if self.in_schema {
            let (powers, phases) = (spectrum.iter().map(power).collect(), spectrum.iter().map(phase).collect());
            out.push(vec![Value::Null, Value::Null, list(powers), list(phases)]);
            return;
        }
        out.extend(spectrum.iter().enumerate().map(|(bin, value)| {
            let (power, phase) = (Value::Double(power(value)), Value::Double(phase(value)));
            vec![Value::Null, Value::Int64(bin as i64), power, phase]
        }));
    }

    fn bytes(&self) -> usize {
        self.spectra.frames.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.spectra.frames.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.spectra.frames.restore(from)
    }
}

pub(crate) struct Cepstrum {
    spectra: Spectra,
    complex: bool,
}

impl Cepstrum {
    pub(crate) fn new(settings: &Settings) -> Cepstrum {
        Cepstrum { spectra: Spectra::new(settings, 0), complex: settings.flag("complexCepstrum") }
    }
}

/// Phases without jumps, and without their linear part (in multiples of pi at the middle).
fn unwrapped(mut phases: Vec<f64>) -> Vec<f64> {
    let mut shift = 0.0;
    let mut before = phases[0];
    for phase in phases.iter_mut().skip(1) {
        let step = *phase - before;
        before = *phase;
        // A step of exactly half a turn goes the way it came.
        let turns = ((step.abs() - PI) / (2.0 * PI)).ceil().max(0.0);
        shift -= turns * 2.0 * PI * step.signum();
        *phase += shift;
    }
    let middle = phases.len().div_ceil(2);
    let Some(at) = phases.get(middle) else { return phases };
    let slope = PI * (at / PI).round() / middle as f64;
    phases.iter_mut().enumerate().for_each(|(k, phase)| *phase -= slope * k as f64);
    phases
}

impl Method for Cepstrum {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(spectrum) = event.number(0).and_then(|value| self.spectra.push(value)) else { return };
        let log = |(re, im): &Complex| libm::log(libm::hypot(*re, *im).max(f64::MIN_POSITIVE));
        let phases = match self.complex {
            true => unwrapped(spectrum.iter().map(|(re, im)| libm::atan2(*im, *re)).collect()),
            false => vec![0.0; spectrum.len()],
        };
        // The real part of the inverse transform is that of the transform of the conjugate, divided by the length.
        let logs = spectrum.iter().zip(phases).map(|(value, phase)| (log(value), -phase)).collect();
        let scale = spectrum.len() as f64;
        let cepstrum = self.spectra.fft.transform(logs).into_iter().map(|(re, _)| re / scale).collect();
        out.push(vec![Value::Null, list(cepstrum)]);
    }

    fn bytes(&self) -> usize {
        self.spectra.frames.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.spectra.frames.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.spectra.frames.restore(from)
    }
}
