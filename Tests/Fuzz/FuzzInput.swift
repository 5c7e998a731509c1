/// What a reader is given: one file, or several that belong together.
struct FuzzInput: Equatable, Sendable {
  /// How a part is written, which decides how it may be changed beside its bytes.
  enum Kind: String, Sendable { case bytes, text, json, jsonLines }

  struct Part: Equatable, Sendable {
    var name: String
    var kind: Kind
    var bytes: [UInt8]
    /// Where counts, offsets, sizes and types stand, as far as the bytes are as they were made.
    var fields: [Range<Int>] = []
  }

  var parts: [Part]

  init(_ parts: [Part]) { self.parts = parts }

  init(_ kind: Kind, _ text: String) { self.init(kind, Array(text.utf8)) }

  init(_ kind: Kind, _ bytes: [UInt8], fields: [Range<Int>] = []) {
    parts = [Part(name: "input", kind: kind, bytes: bytes, fields: fields)]
  }

  static func part(_ name: String, _ kind: Kind, _ text: String) -> Part {
    Part(name: name, kind: kind, bytes: Array(text.utf8))
  }

  var byteCount: Int { parts.reduce(0) { $0 + $1.bytes.count } }

  /// The part's bytes; none where there is no such part.
  subscript(name: String) -> [UInt8] { parts.first { $0.name == name }?.bytes ?? [] }

  /// The only part's bytes.
  var bytes: [UInt8] { parts.first?.bytes ?? [] }
}

// MARK: - As a file

extension FuzzInput {
  /// The parts one after the other, each behind a line `#part NAME KIND SIZE`.
  var archive: [UInt8] {
    parts.flatMap { part in
      Array("#part \(part.name) \(part.kind.rawValue) \(part.bytes.count)\n".utf8) + part.bytes + Array("\n".utf8)
    }
  }

  /// Reads ``archive``; a file that is none counts as the only part.
  init(archive: [UInt8]) {
    var parts: [Part] = []
    var position = 0
    while position < archive.count {
      guard let end = archive[position...].firstIndex(of: 0x0A) else { break }
      let words = String(decoding: archive[position..<end], as: UTF8.self).split(separator: " ")
      guard words.count == 4, words[0] == "#part", let kind = Kind(rawValue: String(words[2])),
        let count = Int(words[3]),
        count >= 0, count <= archive.count - end - 1
      else { break }
      parts.append(Part(name: String(words[1]), kind: kind, bytes: Array(archive[(end + 1)..<(end + 1 + count)])))
      position = end + 2 + count
    }
    self.parts = parts.isEmpty ? [Part(name: "input", kind: .bytes, bytes: archive)] : parts
  }
}
