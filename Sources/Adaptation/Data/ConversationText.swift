import Foundation

/// A conversation rendered whole, with the stretches of its text that are learned.
///
/// A turn's stretch begins where the template, asked for a generation prompt after the messages before it, ends; and it
/// ends with what the template writes after the content, white space excepted: a line break behind an end-of-turn token
/// belongs to the frame. When the template writes nothing but white space there, that is what ends a turn, and it is
/// learned.
struct ConversationText {
  let text: String
  /// UTF-8 offsets, in order, none of them over another.
  private(set) var learned: [Range<Int>] = []

  init(_ messages: [RowMessage], chat: any ChatRendering, at location: RowLocation) throws {
    func render(_ count: Int, prompt: Bool) throws -> [UInt8] {
      do {
        return Array(try chat.render(Array(messages.prefix(count)), addGenerationPrompt: prompt).utf8)
      } catch {
        throw TrainingDataError.chatTemplateFailed(location, reason: error.localizedDescription)
      }
    }
    let whole = try render(messages.count, prompt: false)
    text = String(decoding: whole, as: UTF8.self)
    let turns = messages.count(where: \.isLearned)
    guard whole.count + Self.workAMessage * messages.count <= Self.maximumWork / max(1, turns) else {
      throw TrainingDataError.tooManyTurns(location, turns: turns, byteCount: whole.count)
    }
    for (index, message) in messages.enumerated() where message.isLearned {
      let before = try render(index, prompt: true)
      let through = index == messages.count - 1 ? whole : try render(index + 1, prompt: false)
      // What a template writes only where nobody is asked to answer stands behind the prompt's text: it was learned already.
      let start = max(before.count, learned.last?.upperBound ?? 0)
      guard start <= through.count, Self.begins(through, with: before), Self.begins(whole, with: through) else {
        throw TrainingDataError.chatTemplateNotIncremental(location, message: index)
      }
      learned.append(start..<start + Self.learnedLength(through[start...], content: message.content))
    }
  }

  /// For each turn that is learned the template renders all that stands before it: so many bytes at most, where what it costs
  /// to render a message counts as some bytes.
  private static let maximumWork = 128 << 20
  private static let workAMessage = 1024

  private static func begins(_ text: [UInt8], with prefix: [UInt8]) -> Bool {
    prefix.count <= text.count && text[..<prefix.count] == prefix[...]
  }

  private static func learnedLength(_ turn: ArraySlice<UInt8>, content: String) -> Int {
    let blank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    var trimmed = turn
    while let last = trimmed.last, blank(last) { trimmed.removeLast() }
    var inner = Array(content.utf8)
    while let last = inner.last, blank(last) { inner.removeLast() }
    while let first = inner.first, blank(first) { inner.removeFirst() }
    let endsWithContent = trimmed.drop(while: blank).elementsEqual(inner)
    return endsWithContent ? turn.count : trimmed.count
  }
}
