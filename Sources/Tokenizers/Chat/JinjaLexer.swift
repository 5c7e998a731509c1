/// The template language of Hugging Face chat templates: the part of Jinja 2 that they use, with `trim_blocks` and
/// `lstrip_blocks` on and automatic escaping off, as `transformers` sets them.
enum Jinja {}

extension Jinja {
  struct Token: Equatable {
    enum Kind: Equatable {
      case text(String)
      case blockBegin, blockEnd, variableBegin, variableEnd
      case name(String)
      case string(String)
      case integer(Int)
      case float(Double)
      case symbol(String)
      case end
    }
    var kind: Kind
    var line: Int
  }

  /// Splits a template into tokens; whitespace control happens here.
  struct Lexer {
    let source: [Unicode.Scalar]
    var position = 0
    var line = 1
    var tokens: [Token] = []
    /// Whether the last match ended a line, so that blanks before a following tag are indentation.
    var startsLine = true

    init(_ text: String) {
      var scalars: [Unicode.Scalar] = []
      scalars.reserveCapacity(text.unicodeScalars.count)
      var afterReturn = false
      for scalar in text.unicodeScalars {
        if scalar == "\r" {
          scalars.append("\n")
        } else if !(scalar == "\n" && afterReturn) {
          scalars.append(scalar)
        }
        afterReturn = scalar == "\r"
      }
      // Jinja drops one newline at the very end of a template.
      if scalars.last == "\n" { scalars.removeLast() }
      source = scalars
    }

    static func tokens(of text: String) throws -> [Token] {
      var lexer = Lexer(text)
      try lexer.run()
      return lexer.tokens
    }

    private mutating func run() throws {
      while position < source.count {
        guard let tag = nextTag() else {
          emitText(Array(source[position...]))
          advance(to: source.count)
          break
        }
        let text = Array(source[position..<tag])
        let opener = source[tag + 1]
        let sign = at(tag + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
        emitText(stripped(text, sign: sign, isVariable: opener == "{"))
        let inner = tag + 2 + (sign == nil ? 0 : 1)
        if opener == "%", let body = rawBody(from: inner) {
          advance(to: body)
          try readRaw()
        } else {
          advance(to: inner)
          switch opener {
          case "#": try skipComment()
          case "%": try readTag(begin: .blockBegin, end: .blockEnd, closer: "%")
          default: try readTag(begin: .variableBegin, end: .variableEnd, closer: "}")
          }
        }
      }
      emit(.end)
    }

    func at(_ index: Int) -> Unicode.Scalar? { source.indices.contains(index) ? source[index] : nil }

    func matches(_ text: String, at index: Int) -> Bool {
      var index = index
      for scalar in text.unicodeScalars {
        guard at(index) == scalar else { return false }
        index += 1
      }
      return true
    }

    mutating func advance(to end: Int) {
      for scalar in source[position..<end] where scalar == "\n" { line += 1 }
      if end > position { startsLine = source[end - 1] == "\n" }
      position = end
    }

    mutating func emit(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

    func error(_ what: String) -> ChatTemplateError { .syntax(line: line, what) }

    private mutating func emitText(_ text: [Unicode.Scalar]) {
      guard !text.isEmpty else { return }
      emit(.text(String(text)))
    }

    private func nextTag() -> Int? {
      var index = position
      while index + 1 < source.count {
        if source[index] == "{", source[index + 1] == "%" || source[index + 1] == "#" || source[index + 1] == "{" {
          return index
        }
        index += 1
      }
      return nil
    }

    /// Text before a tag: `-` removes all blanks before it, else a tag alone on its line loses its indentation.
    private func stripped(_ text: [Unicode.Scalar], sign: Unicode.Scalar?, isVariable: Bool) -> [Unicode.Scalar] {
      if sign == "-" {
        let end = text.lastIndex { !$0.isTemplateSpace }.map { $0 + 1 } ?? 0
        return Array(text[..<end])
      }
      guard sign == nil, !isVariable else { return text }
      let lineStart = text.lastIndex(of: "\n").map { $0 + 1 } ?? 0
      guard lineStart > 0 || startsLine, text[lineStart...].allSatisfy(\.isTemplateSpace) else { return text }
      return Array(text[..<lineStart])
    }

    func skippingSpace(from index: Int) -> Int {
      var index = index
      while let scalar = at(index), scalar.isTemplateSpace { index += 1 }
      return index
    }

    // MARK: raw and comments

    /// Where the text of a `raw` block starts, if the tag whose inside begins at `inner` opens one.
    private func rawBody(from inner: Int) -> Int? {
      let word = skippingSpace(from: inner)
      guard matches("raw", at: word) else { return nil }
      let end = skippingSpace(from: word + 3)
      if matches("-%}", at: end) { return skippingSpace(from: end + 3) }
      return matches("%}", at: end) ? end + 2 : nil
    }

    private mutating func readRaw() throws {
      var index = position
      while index < source.count {
        defer { index += 1 }
        guard matches("{%", at: index) else { continue }
        let sign = at(index + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
        let word = skippingSpace(from: index + 2 + (sign == nil ? 0 : 1))
        guard matches("endraw", at: word), let end = tagEnd(at: skippingSpace(from: word + 6), closer: "%") else {
          continue
        }
        emitText(stripped(Array(source[position..<index]), sign: sign, isVariable: false))
        advance(to: end)
        return
      }
      throw error("this raw block has no {% endraw %}")
    }

    private mutating func skipComment() throws {
      var index = position
      while index < source.count {
        if let end = tagEnd(at: index, closer: "#") {
          advance(to: end)
          return
        }
        index += 1
      }
      throw error("this comment has no #}")
    }

    /// The position behind the tag's end if it stands at `index`, with what whitespace control removes after it.
    func tagEnd(at index: Int, closer: Unicode.Scalar) -> Int? {
      func closes(_ index: Int) -> Bool { at(index) == closer && at(index + 1) == "}" }
      if at(index) == "-", closes(index + 1) { return skippingSpace(from: index + 3) }
      if closer == "}" { return closes(index) ? index + 2 : nil }
      if at(index) == "+", closes(index + 1) { return index + 3 }
      guard closes(index) else { return nil }
      return at(index + 2) == "\n" ? index + 3 : index + 2
    }
  }
}

extension String {
  init(_ scalars: some Sequence<Unicode.Scalar>) {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    self.init(view)
  }
}

extension Unicode.Scalar {
  /// What Python's `str.isspace`, `strip` and `\s` take for a blank.
  var isTemplateSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }
}
