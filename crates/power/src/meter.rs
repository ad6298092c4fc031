//! Joules from now until then.

use crate::model::Source;
use crate::tally::Tally;
use crate::{CounterError, NotOnBattery, ReadError, Sensor};
use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No sensor is read more often.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Measures runs with one sensor, as many as one likes, also at the same time.
#[derive(Clone, Debug)]
pub struct Meter {
    sensor: Sensor,
    interval: Duration,
}

/// Why a run was not measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// A file of the sensor went away, or holds nonsense.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The counters tell nonsense.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// The charger was plugged in.
    #[error(transparent)]
    NotOnBattery(#[from] NotOnBattery),
    /// No thread that looks at the sensor, or none any more.
    #[error("the thread that reads the power sensor: {0}")]
    Thread(#[source] io::Error),
}

/// The energy of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Of everything that the sensor sees, from start to stop; also what the machine uses idle.
    pub joules: f64,
    /// Between the first look at the sensor and the last.
    pub seconds: f64,
    /// The sensor's name.
    pub sensor: String,
    /// How it was found out.
    pub kind: ReadingKind,
}

/// How an energy was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingKind {
    /// The difference of energy counters, which step each millisecond or so: runs of 100 ms and
    /// more are good to about 1%.
    Counter,
    /// The integral of the power at moments. With few of them it is a guess.
    Sampled {
        /// How many.
        n: u64,
    },
}

impl Reading {
    /// Mean power; 0 for a run of no time.
    pub fn watts(&self) -> f64 {
        if self.seconds > 0.0 { self.joules / self.seconds } else { 0.0 }
    }

    /// For the output that prints it.
    pub fn source(&self) -> Source {
        Source::Measured { sensor: self.sensor.clone() }
    }
}

impl Meter {
    /// Looks at the sensor as often as suits its kind.
    pub fn new(sensor: Sensor) -> Self {
        let interval = sensor.interval();
        Self { sensor, interval }
    }

    /// Looks so often instead, at most once per millisecond.
    pub fn every(self, interval: Duration) -> Self {
        Self { interval: interval.max(MIN_INTERVAL), ..self }
    }

    /// What it measures with.
    pub fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// Looks at the sensor now, and from a thread of its own until [`Running::stop`].
    pub fn start(&self) -> Result<Running, MeasureError> {
        let mut recorder = Recorder { tally: Tally::new(self.sensor.ranges()), sensor: self.sensor.clone() };
        recorder.look()?;
        let (stop, stopped) = mpsc::channel::<Infallible>();
        let interval = self.interval;
        let record = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                recorder.look()?;
            }
            recorder.look()?;
            Ok(recorder)
        };
        let thread = thread::Builder::new().name("power".into()).spawn(record);
        Ok(Running { stop, thread: thread.map_err(MeasureError::Thread)? })
    }
}

/// A run that is being measured. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Running {
    /// Nothing is said over it: dropping it says it.
    stop: Sender<Infallible>,
    thread: JoinHandle<Result<Recorder, MeasureError>>,
}

impl Running {
    /// Looks a last time, some 0.1 ms from now. Fails where this look or an earlier one did.
    pub fn stop(self) -> Result<Reading, MeasureError> {
        let Self { stop, thread } = self;
        drop(stop);
        let panicked = |_| MeasureError::Thread(io::Error::other("it panicked"));
        thread.join().map_err(panicked)?.map(Recorder::reading)
    }
}

#[derive(Debug)]
struct Recorder {
    sensor: Sensor,
    tally: Tally,
}

impl Recorder {
    fn look(&mut self) -> Result<(), MeasureError> {
        let before = Instant::now();
        let sample = self.sensor.sample()?;
        // A look over a bus takes a millisecond; what it tells is of some moment in it.
        self.tally.record(before + before.elapsed() / 2, sample)?;
        Ok(())
    }

    fn reading(self) -> Reading {
        let kind = if self.sensor.counts_energy() {
            ReadingKind::Counter
        } else {
            ReadingKind::Sampled { n: self.tally.samples() }
        };
        Reading {
            joules: self.tally.joules(),
            seconds: self.tally.seconds(),
            sensor: self.sensor.name().to_owned(),
            kind,
        }
    }
}
