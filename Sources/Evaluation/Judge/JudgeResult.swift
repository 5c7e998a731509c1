internal import Primitives

/// What a judge's verdicts come to.
public struct JudgeResult: Equatable, Sendable, Encodable {
  public struct Rate: Equatable, Sendable, Encodable {
    public let value: Double
    /// 95 %
    public let low: Double
    public let high: Double
    public let interval: String
  }

  public let judge: String
  public let items: Int
  /// Items with a verdict in every order that was to be asked.
  public let judged: Int
  /// Questions that only got replies which name no answer, or empty ones; and those without any.
  public let malformed: Int
  public let empty: Int
  public let unanswered: Int
  /// Requests of this run that are in the journal.
  public let asked: Int
  /// How often the answer is preferred; nil without a verdict.
  public let winRate: Rate?
  /// The same at equal length.
  public let lengthControlledWinRate: Rate?
  /// What a longer answer adds, in logits; ``LengthControl``.
  public let lengthEffect: Double?
  /// How often the judge named what stood first.
  public let firstPreferred: Double?
  /// In Unicode scalars, over judged items.
  public let meanAnswerLength: Double
  public let meanReferenceLength: Double

  init(
    pairs: [JudgePair], questions: [JudgeQuestion], records: [JudgeRecord], judge: String, seed: UInt64, asked: Int
  ) {
    var verdicts: [JudgeQuestion: JudgePair.Side] = [:]
    var last: [JudgeQuestion: JudgeRecord.Status] = [:]
    for record in records {
      last[record.question] = record.status
      if let winner = record.winner { verdicts[record.question] = winner }
    }
    let byItem = Dictionary(grouping: questions, by: \.item)
    var preferences: [Double] = []
    var chosen: [JudgePair] = []
    for item in byItem.keys.sorted() {
      let orders = byItem[item] ?? []
      let winners = orders.compactMap { verdicts[$0] }
      guard winners.count == orders.count, !orders.isEmpty else { continue }
      preferences.append(Double(winners.count { $0 == .answer }) / Double(orders.count))
      chosen.append(pairs[item - 1])
    }
    func count(_ status: JudgeRecord.Status) -> Int {
      questions.count { verdicts[$0] == nil && (last[$0] ?? .unanswered) == status }
    }
    self.judge = judge
    items = pairs.count
    judged = preferences.count
    (malformed, empty, unanswered) = (count(.malformed), count(.empty), count(.unanswered))
    self.asked = asked
    let lengths = chosen.map { (Double($0.length(.answer)), Double($0.length(.reference))) }
    meanAnswerLength = lengths.reduce(0) { $0 + $1.0 } / Double(max(1, lengths.count))
    meanReferenceLength = lengths.reduce(0) { $0 + $1.1 } / Double(max(1, lengths.count))
    let given = questions.filter { verdicts[$0] != nil }
    firstPreferred =
      given.isEmpty ? nil : Double(given.count { verdicts[$0] == $0.first }) / Double(given.count)
    guard !preferences.isEmpty else {
      (winRate, lengthControlledWinRate, lengthEffect) = (nil, nil, nil)
      return
    }
    winRate = Self.rate(preferences, isPaired: questions.count > pairs.count, seed: seed)
    let controlled = LengthControl.estimate(
      preferences: preferences, differences: lengths.map { $0.0 - $0.1 }, seed: seed)
    lengthControlledWinRate = Rate(
      value: controlled.value, low: controlled.low, high: controlled.high, interval: "bootstrap")
    lengthEffect = controlled.phi
  }

  private static func rate(_ preferences: [Double], isPaired: Bool, seed: UInt64) -> Rate {
    let sum = preferences.reduce(0, +)
    guard isPaired else {
      let wilson = WilsonInterval(successes: Int(sum), trials: preferences.count)
      return Rate(value: sum / Double(preferences.count), low: wilson.low, high: wilson.high, interval: "wilson")
    }
    let estimate = Bootstrap(seed: seed).mean(of: preferences, weights: preferences.map { _ in 1 })
    return Rate(value: estimate.value, low: estimate.low, high: estimate.high, interval: "bootstrap")
  }
}
