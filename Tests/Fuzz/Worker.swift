import Adaptation
import AllocationMeter
import ArgumentParser
import Checkpoints
import Evaluation
import Experiments
import Foundation
import Merging
import Tickets
import Tokenizers
import Torch

/// Reads inputs one after the other in a process of its own, which may die of one.
struct Worker: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Read inputs in this process (used by the harness itself).", shouldDisplay: false)

  @Option var reader: String
  @Option var seed: UInt64
  @Option var from: Int
  @Option var to: Int
  @Option var shared: String
  @Option var workspace: String
  /// Processor and wall clock in seconds since the epoch at which to stop.
  @Option var deadline: Double = .infinity
  /// One input from a file instead of those of the campaign.
  @Option var replay: String?

  func run() throws {
    guard let reader = FuzzReader.named(self.reader) else { throw HarnessError(reason: "no reader \(self.reader)") }
    _ = allocation_meter_start()
    let state = try SharedState(path: shared)
    let seeds = try reader.seeds()
    let read = try reader.open(Workspace(path: workspace))
    let given = try replay.map { FuzzInput(archive: Array(try Data(contentsOf: URL(fileURLWithPath: $0)))) }
    // What is made once, on first use, is no input's fault.
    if let seed = seeds.valid.first { _ = outcome(of: read, seed) }
    for index in from..<to {
      if index % 64 == 0, Date().timeIntervalSince1970 > deadline { break }
      let input = given ?? reader.input(seed: seed, index: index, of: seeds)
      state[.index] = index
      measure(input, index, read, state)
    }
  }

  private func measure(_ input: FuzzInput, _ index: Int, _ read: FuzzReader.Read, _ state: SharedState) {
    let before = allocation_meter_reset()
    let start = Self.processorMicroseconds()
    Self.arm(seconds: allocation_meter_is_sanitized() == 1 ? Limits.sanitizedSeconds : Limits.seconds)
    let outcome = outcome(of: read, input)
    Self.arm(seconds: 0)
    let microseconds = Self.processorMicroseconds() - start
    let allocated = allocation_meter_peak() - min(before, allocation_meter_peak())
    if allocated > Limits.allocation(forInputOf: input.byteCount) {
      report(.allocation, index, "\(allocated >> 20) MB for an input of \(input.byteCount) bytes")
    }
    if case .failed(let detail) = outcome { report(.error, index, detail) }
    if case .accepted = outcome { state[.accepted] += 1 }
    if replay != nil, case .refused(let message) = outcome {
      FileHandle.standardError.write(Data((message.prefix(2000) + "\n").utf8))
    }
    state[.largestAllocation] = max(state[.largestAllocation], Int(allocated))
    state[.slowestMicroseconds] = max(state[.slowestMicroseconds], microseconds)
    state[.finished] += 1
  }

  private func report(_ kind: Finding.Kind, _ index: Int, _ detail: String) {
    let finding = Finding(reader: reader, kind: kind, index: index, detail: detail)
    FileHandle.standardOutput.write(Data((finding.line + "\n").utf8))
  }

  private enum Outcome {
    case accepted
    /// With the message.
    case refused(String)
    case failed(String)
  }

  private func outcome(of read: FuzzReader.Read, _ input: FuzzInput) -> Outcome {
    do {
      try read(input)
      return .accepted
    } catch {
      // The message is part of the reader.
      let text = "\(error)"
      return Self.isTyped(error) ? .refused(text) : .failed("\(type(of: error)): \(text.prefix(300))")
    }
  }

  private static func isTyped(_ error: any Error) -> Bool {
    switch error {
    case is CheckpointError, is GGUFError, is TokenizerError, is ChatTemplateError, is TicketsError, is LoRAError,
      is TrainingDataError, is ReportError, is EvaluationError, is ExperimentError, is MergeError, is TorchError:
      true
    default: false
    }
  }

  private static func processorMicroseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Int(time.tv_sec) * 1_000_000 + Int(time.tv_nsec) / 1000
  }

  /// After so much processor time of the process the system ends it with SIGPROF, unless armed anew; 0 disarms.
  private static func arm(seconds: Int) {
    var timer = itimerval()
    timer.it_value.tv_sec = .init(seconds)
    #if canImport(Glibc)
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    #else
    setitimer(ITIMER_PROF, &timer, nil)
    #endif
  }
}
