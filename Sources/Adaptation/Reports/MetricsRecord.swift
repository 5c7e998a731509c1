import Foundation
internal import Primitives

/// One training step, as `metrics.jsonl` holds it.
public struct MetricsRecord: Codable, Equatable, Sendable {
  public enum Phase: String, Codable, CaseIterable, Sendable {
    case calibration
    /// Sparse adaptation whose task vector finds a sparser ticket.
    case iteration
    case adaptation, training
  }

  public var phase: Phase
  /// Counted from one, within the phase.
  public var step: Int
  /// The objective. NaN and infinity are written as null, and null is read as NaN.
  public var loss: Double
  /// Mean of -log p over the step's labels.
  public var tokenLoss: Double
  public var tokens: Int
  public var labels: Int
  /// The step's duration.
  public var seconds: Double
  public var learningRate: Double
  /// Which ticket of those that only find the next, counted from one, in the phase `iteration`.
  public var iteration: Int?
  /// Where the ticket was looked at after the step: the share of its weights that the one before had too.
  public var ticketOverlap: Double?
  /// Why the step changed nothing, where its numbers were not finite and it was left out.
  public var skipped: String?

  public init(
    phase: Phase, step: Int, loss: Double, tokenLoss: Double, tokens: Int, labels: Int, seconds: Double,
    learningRate: Double
  ) {
    self.phase = phase
    self.step = step
    self.loss = loss
    self.tokenLoss = tokenLoss
    self.tokens = tokens
    self.labels = labels
    self.seconds = seconds
    self.learningRate = learningRate
  }

  /// The phase as reports name it: `iteration 1` for example.
  static func name(of phase: Phase, iteration: Int?) -> String {
    iteration.map { "\(phase.rawValue) \($0)" } ?? phase.rawValue
  }

  static func name(of part: RunPart) -> String {
    name(of: part.phase, iteration: part.iteration == 0 ? nil : part.iteration)
  }

  var phaseName: String { Self.name(of: phase, iteration: iteration) }

  public var tokensPerSecond: Double { Double(tokens) / seconds }

  enum CodingKeys: String, CodingKey {
    case phase, step, loss, tokens, labels, seconds, iteration, skipped
    case ticketOverlap = "ticket_overlap"
    case tokenLoss = "token_loss"
    case learningRate = "learning_rate"
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func double(_ key: CodingKeys) throws -> Double { try container.decode(Double?.self, forKey: key) ?? .nan }
    phase = try container.decode(Phase.self, forKey: .phase)
    // Sums of such numbers cannot overflow.
    func count(_ key: CodingKeys) throws -> Int {
      let value = try container.decode(Int.self, forKey: key)
      guard (0...1 << 40).contains(value) else {
        throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "no count")
      }
      return value
    }
    step = try count(.step)
    loss = try double(.loss)
    tokenLoss = try double(.tokenLoss)
    tokens = try count(.tokens)
    labels = try count(.labels)
    seconds = try double(.seconds)
    learningRate = try double(.learningRate)
    iteration = try container.decodeIfPresent(Int.self, forKey: .iteration)
    ticketOverlap = try container.decodeIfPresent(Double.self, forKey: .ticketOverlap)
    skipped = try container.decodeIfPresent(String.self, forKey: .skipped)
  }

  /// The record as one line of JSON without its line break: fields in a fixed order, numbers in the shortest form that
  /// reads back to the same double.
  public var jsonLine: String {
    var fields = [
      "\"phase\": \"\(phase.rawValue)\"", "\"step\": \(step)", "\"loss\": \(Self.json(loss))",
      "\"token_loss\": \(Self.json(tokenLoss))", "\"tokens\": \(tokens)", "\"labels\": \(labels)",
      "\"seconds\": \(Self.json(seconds))", "\"learning_rate\": \(Self.json(learningRate))",
      "\"tokens_per_second\": \(Self.json(tokensPerSecond))",
    ]
    if let iteration { fields.append("\"iteration\": \(iteration)") }
    if let ticketOverlap { fields.append("\"ticket_overlap\": \(Self.json(ticketOverlap))") }
    if let skipped { fields.append("\"skipped\": \(JSONValue.quoted(skipped))") }
    return "{\(fields.joined(separator: ", "))}"
  }

  private static func json(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

  /// All complete records of a file. A last line that a crash cut short is left out.
  ///
  /// Throws: ``ReportError``.
  public static func read(path: String) throws -> [MetricsRecord] {
    try JSONLines.read(path: path)
  }
}
