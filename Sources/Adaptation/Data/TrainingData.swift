/// What to do with a row that has more tokens than allowed.
public enum OverlengthPolicy: String, CaseIterable, Codable, Sendable {
  /// Leave the row out: a cut answer teaches a wrong one.
  case drop
  /// Keep the first tokens. The end is lost, with its labels; a row that loses all of them is dropped.
  case truncate
  /// Refuse the file.
  case error
}

/// What became of a file's rows.
public struct DataSummary: Equatable, Codable, Sendable {
  /// Rows in the file.
  public var rows = 0
  public var kept = 0
  public var dropped = 0
  /// Of the kept rows, those that lost their end.
  public var truncated = 0
  /// Tokens of the kept rows.
  public var tokens = 0
  /// Labels of the kept rows.
  public var labels = 0
  /// Tokens of the longest row in the file, before any cut.
  public var longest = 0

  /// Rows of earlier tasks that are mixed in; not among the others.
  public var replayed = 0

  public init() {}
}

/// A file of training rows, tokenised.
public struct TrainingData: Equatable, Sendable {
  public static let defaultMaximumLength = 512
  public static let defaultOverlengthPolicy = OverlengthPolicy.drop

  public let rows: [TokenizedRow]
  public let format: RowFormat
  public let summary: DataSummary

  /// Reads JSON Lines (or one JSON array) at `path`.
  ///
  /// - Parameters:
  ///   - format: nil takes the first row's format. Every row must have the same one.
  ///   - chat: needed for rows of messages only.
  ///   - maximumLength: in tokens, end-of-sequence included.
  /// - Throws: ``TrainingDataError`` for the first row that is wrong, a file without rows, and one of which no row is
  ///   left.
  public static func load(
    path: String, format: RowFormat? = nil, encoder: any TextEncoder, chat: (any ChatRendering)? = nil,
    maximumLength: Int = defaultMaximumLength, overlength: OverlengthPolicy = defaultOverlengthPolicy
  ) throws -> TrainingData {
    precondition(maximumLength > 1, "a maximum length of \(maximumLength) leaves nothing to predict")
    let tokenizer = RowTokenizer(encoder: encoder, chat: chat)
    var scanner = try RowScanner(path: path)
    var parser = RowParser(format: format)
    var collector = RowCollector(maximumLength: maximumLength, overlength: overlength)
    while let (location, bytes) = try scanner.next() {
      let row = try parser.parse(bytes, at: location)
      try collector.add(tokenizer.tokenize(row, at: location), at: location)
    }
    guard let format = parser.format, collector.summary.rows > 0 else { throw TrainingDataError.noRows(path: path) }
    let summary = collector.summary
    guard summary.kept > 0 else {
      throw TrainingDataError.everyRowDropped(
        path: path, rows: summary.rows, limit: maximumLength, longest: summary.longest)
    }
    return TrainingData(rows: collector.rows, format: format, summary: summary)
  }

  /// Reads the rows without a tokenizer, for scoring and for examples.
  public static func readRows(
    path: String, format: RowFormat? = nil
  ) throws -> [(location: RowLocation, row: TrainingRow)] {
    var scanner = try RowScanner(path: path)
    var parser = RowParser(format: format)
    var rows: [(location: RowLocation, row: TrainingRow)] = []
    while let (location, bytes) = try scanner.next() {
      rows.append((location, try parser.parse(bytes, at: location)))
    }
    guard !rows.isEmpty else { throw TrainingDataError.noRows(path: path) }
    return rows
  }
}

/// Applies the length limit and counts.
private struct RowCollector {
  let maximumLength: Int
  let overlength: OverlengthPolicy
  private(set) var rows: [TokenizedRow] = []
  private(set) var summary = DataSummary()

  init(maximumLength: Int, overlength: OverlengthPolicy) {
    self.maximumLength = maximumLength
    self.overlength = overlength
  }

  mutating func add(_ row: TokenizedRow, at location: RowLocation) throws {
    summary.rows += 1
    summary.longest = max(summary.longest, row.tokens.count)
    guard row.tokens.count > maximumLength else { return keep(row) }
    switch overlength {
    case .error:
      throw TrainingDataError.rowTooLong(location, tokens: row.tokens.count, limit: maximumLength)
    case .drop:
      summary.dropped += 1
    case .truncate:
      let cut = row.truncated(to: maximumLength)
      guard cut.labelCount > 0 else { return summary.dropped += 1 }
      summary.truncated += 1
      keep(cut)
    }
  }

  private mutating func keep(_ row: TokenizedRow) {
    rows.append(row)
    summary.kept += 1
    summary.tokens += row.tokens.count
    summary.labels += row.labelCount
  }
}
