/// A document with everything that JSON has: all kinds of values, escapes, several scripts, nesting, odd spacing.
enum SampleDocument {
    static let text = #"""
        {
          "version": 1,
          "exported_at": "2026-02-08T00:00:00.000000Z",
          "title": "Crème brûlée & Co. — \"quoted\" \\ back\/slash",
          "controls": "\b\f\n\r\t\u0000\u001f\u007F",
          "emoji": "😀 \ud83d\ude00 👩‍👩‍👧 \u00e9 e\u0301",
          "scripts": ["Ελληνικά", "русский", "日本語", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ß"],
          "numbers": [0, -0, 1, -1, 1.0, 1.50, 1e2, 1E+2, 1e-2, -12.5e3, 0.1, 9007199254740993,
                      12345678901234567890.123456789, -9223372036854775808, 1e400, 0.1e-400],
          "literals": [true, false, null],
          "empty": {"object": {}, "array": [], "string": "", "nested": [[], {}, [[]], [{}], {"": []}]},
          "entities": [
            {
              "name": "customer",
              "table": "customers",
              "primary_key": {"field": "id", "type": "uuid", "generated": true},
              "soft_delete": false,
              "fields": [
                {"name": "id", "type": "uuid", "required": true},
                {"name": "name", "type": "string", "required": true},
                {"name": "email", "type": "string", "required": true, "unique": true},
                {"name": "credit", "type": "decimal", "precision": 2, "default": 0.00},
                {"name": "created_at", "type": "timestamp", "auto": "create"}
              ]
            },
            {
              "name": "ticket",
              "table": "tickets",
              "primary_key": {"field": "id", "type": "bigint", "generated": true},
              "indexes": [{"fields": ["status", "-created_at"], "unique": false}],
              "fields": [
                {"name": "id", "type": "bigint"},
                {"name": "status", "type": "string", "enum": ["open", "on hold", "closed"], "default": "open"},
                {"name": "priority", "type": "int", "enum": [1, 2, 3]},
                {"name": "meta", "type": "json", "default": {"tags": ["a", "b"], "seen": null, "ratio": -1.25e-3}}
              ]
            }
          ],
          "relations": [
            {"name": "ticket_customer", "type": "one_to_many", "source": "customer", "target": "ticket",
             "source_key": "id", "target_key": "customer_id", "on_delete": "restrict"}
          ],
          "deep": [[[[[[[[{"a": {"b": {"c": [1, [2, [3, [4, {"d": "e"}]]]]}}}]]]]]]]],
          "spaces" :	[ 1	,2 ,
             3 ]   ,
          "many": {"m0": 0, "m1": 1, "m2": 2, "m3": 3, "m4": 4, "m5": 5, "m6": 6, "m7": 7, "m8": 8, "m9": 9,
                   "m10": 10, "m11": 11, "m12": 12, "m13": 13, "m14": 14, "m15": 15, "m16": 16, "m17": 17,
                   "m18": 18, "m19": 19},
          "sample_data": {
            "ticket": [
              {"id": 1, "title": "Cannot login to dashboard after password reset",
               "body": "I reset my password yesterday and now I keep getting 'Invalid credentials'.\nI've tried twice.",
               "path": "C:\\temp\\new", "done": false, "closed_at": null},
              {"id": 2, "title": "Incorrect charge on last invoice", "amount": 299.00, "done": true}
            ]
          }
        }
        """#
}
