import Foundation

/// What a file of training rows holds, and what is wrong with it.
///
/// Unlike ``TrainingData`` it does not stop at the first row that cannot be used.
public struct DataCheck: Equatable, Sendable, Encodable {
  public let rows: Int
  /// nil when no row could be read.
  public let format: String?
  /// Rows with tokens and labels, over-length ones among them.
  public let usable: Int
  public let tokens: Int
  public let labels: Int
  /// Usable rows whose last label is a token that ends a text.
  public let endLearned: Int
  /// Usable rows that begin with the beginning-of-sequence token.
  public let beginningSet: Int
  public let maximumLength: Int
  public let lengths: LengthHistogram
  /// Errors before warnings.
  public let findings: [DataFinding]

  /// Whether training would refuse the file, or learn something wrong from it.
  public var isWrong: Bool { findings.contains { $0.severity == .error } }

  /// - Throws: ``TrainingDataError`` for a file that cannot be read at all, or holds no rows; also for those of
  ///   `options.against`.
  public init(
    path: String, options: DataCheckOptions, encoder: any TextEncoder, chat: (any ChatRendering)? = nil,
    markers: RowMarkers
  ) throws {
    let known = try options.against.map { try KnownRows(path: $0, format: options.format) }
    var collector = FindingCollector(
      tokenizer: RowTokenizer(encoder: encoder, chat: chat),
      inspector: RowInspector(encoder: encoder, markers: markers, maximumLength: options.maximumLength), known: known)
    var scanner = try RowScanner(path: path)
    var parser = RowParser(format: options.format)
    while let (location, bytes) = try scanner.next() { collector.add(bytes, at: location, parser: &parser) }
    guard collector.rows > 0 else { throw TrainingDataError.noRows(path: path) }
    rows = collector.rows
    format = parser.format?.rawValue
    usable = collector.lengths.count
    tokens = collector.lengths.reduce(0, +)
    labels = collector.labels
    endLearned = collector.endLearned
    beginningSet = collector.beginningSet
    maximumLength = options.maximumLength
    lengths = LengthHistogram(collector.lengths)
    findings = collector.findings()
  }
}

/// Goes through the rows one by one.
private struct FindingCollector {
  let tokenizer: RowTokenizer
  let inspector: RowInspector
  let known: [KnownRows]
  private(set) var rows = 0
  private(set) var lengths: [Int] = []
  private(set) var labels = 0
  private(set) var endLearned = 0
  private(set) var beginningSet = 0
  private var places: [DataFinding.Kind: [Int]] = [:]
  private var details: [DataFinding.Kind: String] = [:]
  private var overlaps: [Int: [DataFinding.Kind: [Int]]] = [:]
  private var seen: Set<RowKey> = []
  private var completions: [RowKey: RowKey] = [:]

  init(tokenizer: RowTokenizer, inspector: RowInspector, known: [KnownRows]) {
    self.tokenizer = tokenizer
    self.inspector = inspector
    self.known = known
  }

  mutating func add(_ bytes: [UInt8], at location: RowLocation, parser: inout RowParser) {
    rows += 1
    do {
      let row = try parser.parse(bytes, at: location)
      compare(RowText(row), location.row)
      tokenize(row, at: location)
    } catch {
      refuse(error, location.row, emptiness: .emptyCompletion)
    }
  }

  private mutating func tokenize(_ row: TrainingRow, at location: RowLocation) {
    do {
      let tokens = try tokenizer.tokenize(row, at: location)
      count(tokens)
      for kind in inspector.findings(row, tokens) { note(kind, location.row) }
    } catch {
      refuse(error, location.row, emptiness: .noLabels)
    }
  }

  private mutating func count(_ row: TokenizedRow) {
    lengths.append(row.tokens.count)
    labels += row.labelCount
    if let last = row.labelRanges.last?.upperBound, inspector.markers.stops.contains(Int(row.tokens[last - 1])) {
      endLearned += 1
    }
    if let first = row.tokens.first, inspector.markers.beginning == Int(first) { beginningSet += 1 }
  }

  /// - Parameter emptiness: what it means at this point that a row has nothing to learn.
  private mutating func refuse(_ error: any Error, _ row: Int, emptiness: DataFinding.Kind) {
    switch error {
    case TrainingDataError.noEndOfSequence: places[.noEndToken] = []
    case TrainingDataError.noLabels: note(emptiness, row)
    default: note(.unreadable, row, detail: "\(error)")
    }
  }

  private mutating func note(_ kind: DataFinding.Kind, _ row: Int, detail: String? = nil) {
    places[kind, default: []].append(row)
    if details[kind] == nil { details[kind] = detail }
  }

  private mutating func compare(_ text: RowText, _ row: Int) {
    let (exact, normalized, prompt) = (text.exact, text.normalized, text.promptKey)
    if !seen.insert(exact).inserted {
      note(.duplicate, row)
    } else if let prompt {
      let completion = RowKey([text.completion])
      if let earlier = completions[prompt] {
        if earlier != completion { note(.contradiction, row) }
      } else {
        completions[prompt] = completion
      }
    }
    for (index, file) in known.enumerated() {
      let kind: DataFinding.Kind?
      if file.exact.contains(exact) {
        kind = .overlap
      } else if file.normalized.contains(normalized) {
        kind = .normalizedOverlap
      } else {
        kind = prompt.map(file.prompts.contains) == true ? .promptOverlap : nil
      }
      if let kind { overlaps[index, default: [:]][kind, default: []].append(row) }
    }
  }

  func findings() -> [DataFinding] {
    var places = places
    if !lengths.isEmpty, places[.overlength]?.count == lengths.count { places[.everyRowOverlength] = [] }
    var findings: [DataFinding] = []
    for kind in DataFinding.Kind.allCases {
      if let rows = places[kind] { findings.append(DataFinding(kind, rows: rows, detail: details[kind])) }
      for (index, file) in known.enumerated() {
        if let rows = overlaps[index]?[kind] { findings.append(DataFinding(kind, rows: rows, detail: file.path)) }
      }
    }
    return findings.filter { $0.severity == .error } + findings.filter { $0.severity == .warning }
  }
}

/// The rows of a file that training rows are compared with.
private struct KnownRows {
  let path: String
  private(set) var exact: Set<RowKey> = []
  private(set) var normalized: Set<RowKey> = []
  private(set) var prompts: Set<RowKey> = []

  init(path: String, format: RowFormat?) throws {
    self.path = path
    for (_, row) in try TrainingData.readRows(path: path, format: format) {
      let text = RowText(row)
      exact.insert(text.exact)
      normalized.insert(text.normalized)
      if let key = text.promptKey { prompts.insert(key) }
    }
  }
}
