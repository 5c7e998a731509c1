import Evaluation
import Foundation
import Testing

struct PorterStemmerTests {
  /// Examples of Porter's paper, and words that NLTK's extensions treat otherwise.
  @Test(arguments: [
    ("caresses", "caress"), ("ponies", "poni"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre"),
    ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("conflated", "conflat"), ("sized", "size"),
    ("hopping", "hop"), ("falling", "fall"), ("hissing", "hiss"), ("filing", "file"), ("failing", "fail"),
    ("happy", "happi"), ("relational", "relat"), ("vietnamization", "vietnam"), ("triplicate", "triplic"),
    ("adjustment", "adjust"), ("adoption", "adopt"), ("controlling", "control"), ("rolling", "roll"),
    ("probate", "probat"), ("cease", "ceas"),
    ("skies", "sky"), ("dying", "die"), ("innings", "inning"), ("news", "news"), ("dies", "die"), ("flies", "fli"),
    ("died", "die"), ("spied", "spi"), ("enjoy", "enjoy"), ("by", "by"), ("radically", "radic"), ("geologi", "geolog"),
  ])
  func stems(word: String, expected: String) {
    #expect(PorterStemmer().stem(word) == expected)
  }
}
