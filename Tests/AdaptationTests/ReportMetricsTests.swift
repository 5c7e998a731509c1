import Adaptation
import Foundation
import Primitives
import Reports
import TestSupport
import Testing

private func record(_ step: Int, phase: MetricsRecord.Phase = .adaptation, loss: Double = 41.25) -> MetricsRecord {
  MetricsRecord(
    phase: phase, step: step, loss: loss, tokenLoss: 1.8719999999999999, tokens: 640, labels: 200, seconds: 2.5,
    learningRate: 1e-5)
}

@Suite struct ReportMetrics {
  @Test func lineHasEveryField() throws {
    #expect(
      record(3).jsonLine
        == #"{"phase": "adaptation", "step": 3, "loss": 41.25, "token_loss": 1.8719999999999999, "tokens": 640, "#
        + #""labels": 200, "seconds": 2.5, "learning_rate": 1e-05, "tokens_per_second": 256.0}"#)
  }

  @Test func lineOfAnIterationAndALookAtTheTicket() throws {
    var iterated = record(2, phase: .iteration)
    iterated.iteration = 1
    iterated.ticketOverlap = 0.875
    #expect(iterated.jsonLine.hasSuffix(#""tokens_per_second": 256.0, "iteration": 1, "ticket_overlap": 0.875}"#))
    #expect(iterated.jsonLine.hasPrefix(#"{"phase": "iteration", "step": 2, "#))
    #expect(try JSONDecoder().decode(MetricsRecord.self, from: Data(iterated.jsonLine.utf8)) == iterated)
  }

  @Test func doublesReadBackToTheBit() throws {
    let path = NSTemporaryDirectory() + "lota-\(UUID().uuidString).jsonl"
    defer { try? FileManager.default.removeItem(atPath: path) }
    var stream = RandomStream(seed: 5, purpose: "doubles")
    let records = (1...200).map { step in
      let value = Double(bitPattern: stream.next())
      return record(step, loss: value.isFinite ? value : 0.1)
    }
    let writer = try MetricsWriter(path: path)
    for record in records { try writer.write(record) }
    let read = try MetricsRecord.read(path: path)
    #expect(read.map(\.loss.bitPattern) == records.map(\.loss.bitPattern))
    #expect(read == records)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func nonFiniteValuesAreNull(value: Double) throws {
    let line = record(1, loss: value).jsonLine
    #expect(line.contains("\"loss\": null, "))
    _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
    #expect(try JSONDecoder().decode(MetricsRecord.self, from: Data(line.utf8)).loss.isNaN)
  }

  @Test func eachLineIsThereAtOnce() throws {
    let file = try TemporaryFile("")
    defer { file.remove() }
    let writer = try MetricsWriter(path: file.path)
    for step in 1...3 {
      try writer.write(record(step))
      #expect(try MetricsRecord.read(path: file.path).map(\.step) == Array(1...step))
    }
  }

  /// A run that died in the middle of a line, and resumes from its checkpoint after step 2.
  @Test func resumeDropsWhatIsRepeated() throws {
    let whole = (1...4).map { record($0).jsonLine + "\n" }.joined()
    let file = try TemporaryFile(record(9, phase: .calibration).jsonLine + "\n" + whole + #"{"phase": "adapt"#)
    defer { file.remove() }
    let writer = try MetricsWriter(path: file.path) { $0.phase == .calibration || $0.step <= 2 }
    try writer.write(record(3))
    let text = try String(contentsOfFile: file.path, encoding: .utf8)
    let kept = [record(9, phase: .calibration), record(1), record(2), record(3)]
    #expect(text == kept.map { $0.jsonLine + "\n" }.joined())
  }

  @Test func errors() throws {
    let file = try TemporaryFile("nonsense\n" + record(1).jsonLine + "\n")
    defer { file.remove() }
    #expect(throws: ReportError.malformedMetrics(path: file.path, line: 1)) { try MetricsWriter(path: file.path) }
    #expect(throws: ReportError.self) { try MetricsWriter(path: "/nonexistent/metrics.jsonl") }
    #expect(throws: ReportError.unreadable(path: "/nonexistent/m")) { try MetricsRecord.read(path: "/nonexistent/m") }
  }

  @Test func progress() {
    var meter = ProgressMeter(stepCount: 100)
    let first = meter.advance(record(1))
    #expect(
      first.text == "adaptation  step   1/100  loss 41.25  per token 1.872  256 tokens/s  4 min 08 s left")
    var second = record(2)
    second.seconds = 1.5
    #expect(meter.advance(second).text.hasSuffix("320 tokens/s  3 min 16 s left"))
    #expect(meter.advance(record(100)).text.hasSuffix("step 100/100  loss 41.25  per token 1.872  295 tokens/s"))
    #expect(meter.advance(record(3, loss: .nan)).text.contains("loss not a number"))
  }

  @Test(arguments: [
    (NumberText.bytes(0), "0 B"), (NumberText.bytes(999), "999 B"), (NumberText.bytes(999_600), "1.00 MB"),
    (NumberText.bytes(538_060_000), "538 MB"), (NumberText.duration(0), "0 s"), (NumberText.duration(0.4234), "0.42 s"),
    (NumberText.duration(9.99), "10 s"), (NumberText.duration(59.6), "1 min 00 s"),
    (NumberText.duration(252), "4 min 12 s"),
    (NumberText.duration(3780), "1 h 03 min"), (NumberText.duration(.infinity), "infinite"),
    (NumberText.significant(0.000_012_3, 2), "1.2e-05"), (NumberText.significant(1234.5, 3), "1234"),
    (NumberText.significant(0.1234, 2), "0.12"), (NumberText.fixed(-0.0001, 2), "0.00"),
    (NumberText.grouped(1_234_567), "1,234,567"), (NumberText.grouped(-123), "-123"),
    (NumberText.percent(0.6667), "66.7 %"),
  ])
  func numbers(text: String, expected: String) {
    #expect(text == expected)
  }

  /// The interval's ends are the rates from which the observed one lies 1.96 standard errors away.
  @Test(arguments: [
    (0, 100, 0.0, 0.036993), (5, 10, 0.236593, 0.763407), (84, 120, 0.612849, 0.774744), (9, 9, 0.700855, 1.0),
  ])
  func wilson(successes: Int, trials: Int, low: Double, high: Double) {
    let interval = WilsonInterval(successes: successes, trials: trials)
    expectClose([interval.low, interval.high], [low, high], absolute: 1.1e-6)
    let (n, observed) = (Double(trials), Double(successes) / Double(trials))
    for end in [interval.low, interval.high] where end > 0 && end < 1 {
      expectClose(abs(observed - end), 1.959964 * (end * (1 - end) / n).squareRoot(), absolute: 1e-6)
    }
    #expect(WilsonInterval(successes: 0, trials: 0) == WilsonInterval(successes: 0, trials: 0))
  }
}
