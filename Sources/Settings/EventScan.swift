internal import CYaml

/// A walk over a YAML file's events before anything is built of them, in time that grows with the file: how deep it nests, and how
/// many values its aliases stand for when they are written out. Nine lines of aliases can stand for a billion values.
struct EventScan {
  /// Mappings and lists in each other.
  static let maximumDepth = 64
  /// Values that aliases may add.
  static let maximumAliasValues = 10_000

  private struct Collection {
    let anchor: String?
    /// Values in it, aliases written out.
    var size = 1
  }

  private var open: [Collection] = []
  private var sizes: [String: Int] = [:]
  private var eventCount = 0

  /// - Throws: ``SettingsError`` where the file nests too deeply or its aliases stand for too much. What is no YAML is left to the
  ///   reader that comes after.
  static func check(_ yaml: String, path: String) throws {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    guard yaml_parser_initialize(parser) == 1 else { return }
    defer { yaml_parser_delete(parser) }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    var text = yaml
    try text.withUTF8 { bytes in
      yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
      var scan = EventScan()
      var event = yaml_event_t()
      while yaml_parser_parse(parser, &event) == 1 {
        defer { yaml_event_delete(&event) }
        if event.type == YAML_STREAM_END_EVENT { return }
        if let problem = scan.problem(after: event) {
          throw SettingsError(path: path, line: Int(event.start_mark.line) + 1, reason: problem)
        }
      }
    }
  }

  private mutating func problem(after event: yaml_event_t) -> String? {
    eventCount += 1
    switch event.type {
    case YAML_SCALAR_EVENT: return add(1, anchor: Self.name(event.data.scalar.anchor))
    case YAML_ALIAS_EVENT: return add(Self.name(event.data.alias.anchor).flatMap { sizes[$0] } ?? 1, anchor: nil)
    case YAML_SEQUENCE_START_EVENT: return begin(Self.name(event.data.sequence_start.anchor))
    case YAML_MAPPING_START_EVENT: return begin(Self.name(event.data.mapping_start.anchor))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
      guard let closed = open.popLast() else { return nil }
      return add(closed.size, anchor: closed.anchor)
    default: return nil
    }
  }

  private mutating func begin(_ anchor: String?) -> String? {
    open.append(Collection(anchor: anchor))
    return open.count > Self.maximumDepth ? "nested deeper than \(Self.maximumDepth) levels" : nil
  }

  private mutating func add(_ size: Int, anchor: String?) -> String? {
    if let anchor { sizes[anchor] = size }
    guard let last = open.indices.last else { return nil }
    // Both are small: what was added before stayed below the limit.
    open[last].size += size
    return open[last].size > eventCount + Self.maximumAliasValues
      ? "its aliases stand for more than \(Self.maximumAliasValues) values" : nil
  }

  private static func name(_ anchor: UnsafeMutablePointer<UInt8>?) -> String? { anchor.map { String(cString: $0) } }
}
