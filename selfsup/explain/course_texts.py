"""Short documents of the course, and common words: a small tokenizer learns from both.

A document is a list of sentences. Random sentences are taken from the documents.
"""

DOCUMENTS = {
    "en": (
        (
            "The moon moves around the earth in about four weeks.",
            "It has no light of its own and shows us the light of the sun.",
            "When it is full, you can see its mountains with a simple glass.",
            "Twice a day it lifts the water of the sea.",
            "Twelve people have stood on it, the last of them more than fifty years ago.",
        ),
        (
            "The old bridge stands over the river at the end of the town.",
            "It was built of stone more than two hundred years ago.",
            "Every morning people cross it on their way to work.",
            "In winter the water is high and nobody may stand near the edge.",
            "The city wants to build a new one beside it.",
        ),
        (
            "Bread needs only four things: water, flour, salt and time.",
            "First you mix the flour with the water and wait for an hour.",
            "Then you add the salt and work with your hands until it is smooth.",
            "It has to rest in a warm room, where it grows to twice its size.",
            "After forty minutes in a hot oven it is ready to eat.",
        ),
        (
            "The customer wrote that the new computer would not start.",
            "We asked her to hold the button for ten seconds and to try again.",
            "After that the screen was on, but the sound did not work.",
            "The problem was an old file that we had to replace.",
            "She thanked us and closed the ticket the next day.",
        ),
        (
            "A language model learns from text that nobody has labelled.",
            "A word is hidden, and the model has to guess it from the other words.",
            "At first it is wrong nearly every time, and slowly it learns to be right.",
            "What it has learned is then used for another task with few examples.",
            "The same idea works for images, for sound and for the language of cells.",
        ),
    ),
    "ko": (
        (
            "달은 약 네 주에 한 번 지구 주위를 돕니다.",
            "달은 스스로 빛을 내지 못하고 태양의 빛을 우리에게 보여 줍니다.",
            "보름달이 뜨면 간단한 망원경으로도 달의 산을 볼 수 있습니다.",
            "달은 하루에 두 번 바닷물을 들어 올립니다.",
            "지금까지 열두 사람이 달 위에 섰고 마지막은 오십 년도 더 지난 일입니다.",
        ),
        (
            "마을 끝에는 강을 건너는 오래된 다리가 있습니다.",
            "이 다리는 이백 년 전에 돌로 만들어졌습니다.",
            "아침마다 사람들은 이 다리를 건너 일하러 갑니다.",
            "겨울에는 물이 높아져서 아무도 다리 가까이에 서면 안 됩니다.",
            "시에서는 그 옆에 새로운 다리를 만들려고 합니다.",
        ),
        (
            "빵을 만들려면 물과 밀가루와 소금과 시간만 있으면 됩니다.",
            "먼저 밀가루와 물을 섞고 한 시간을 기다립니다.",
            "그리고 소금을 넣고 손으로 부드러워질 때까지 섞습니다.",
            "따뜻한 방에 두면 크기가 두 배로 커집니다.",
            "뜨거운 오븐에서 사십 분이 지나면 먹을 수 있습니다.",
        ),
        (
            "고객은 새로운 컴퓨터가 켜지지 않는다고 글을 보냈습니다.",
            "우리는 버튼을 십 초 동안 누르고 다시 해 보라고 했습니다.",
            "그러자 화면은 켜졌지만 소리가 나오지 않았습니다.",
            "문제는 오래된 파일이었고 우리는 그것을 바꾸어야 했습니다.",
            "고객은 고맙다고 했고 다음 날 문의를 닫았습니다.",
        ),
        (
            "언어 모델은 아무도 레이블을 달지 않은 글로 학습합니다.",
            "단어 하나를 가리면 모델은 다른 단어를 보고 그 단어를 맞혀야 합니다.",
            "처음에는 거의 항상 틀리지만 학습할수록 점점 더 잘 맞힙니다.",
            "이렇게 배운 것을 예제가 적은 다른 과제에 사용합니다.",
            "자기지도학습은 그림과 소리와 세포의 언어에도 같은 방법으로 사용할 수 있습니다.",
        ),
    ),
}

# The small tokenizer keeps these whole where they are in the reader's text.
COMMON_WORDS = {
    "en": """
        about above accident account across action address afternoon again against agree air
        airport already also always amount animal another answer anything apple appointment area
        arm army around arrive article attack aunt autumn baby back bad ball bank beautiful because
        become before begin behind believe best better between bicycle big bird birthday black
        blood blue board boat body book bottle box boy brain break breakfast bring brother brown
        build building business buy call camera cancel car card care case cat cause cell centre
        century chair chance change charge check chest child children church circle claim class
        clean clear clinic clock close cloud coat coffee cold colour come common company complain
        condition contract control cook copy corner cost cough could country couple court cream
        crime cup daily damage dance danger dark date daughter dead deal death decide deep
        delivery describe design different difficult dinner discover disease doctor dog dollar
        door down draw dream dress drink drive during each early east easy eat education effect
        empty energy engine enough enter error evening event every everything exam example
        experience explain eye face fact fail fall family famous farm fast father favourite fear
        feel feet fever field fight figure fill film final find fine finger finish fire fish flat
        flight floor flower follow food foot force forest forget form forward found free fresh
        friend front fruit full game garden girl give glad glass gold government grass great green
        ground group grow guest hair half hall happen happy hard head health hear heart heavy high
        history hold holiday home hope horse hospital hotel house human hundred hungry idea
        important increase inside interest invoice island issue job join jump keep kitchen knee
        know lady lake land large last late laugh law lawyer lead leave left letter level library
        life lift listen little live liver local long look lose loud love low luck lunch lung
        machine mail make manager many map market matter mean meat medical medicine meet meeting
        member message metal middle milk mind money monkey month moon morning mother mountain
        mouth move movie much museum music name nation nature never news night noise north nose
        note nothing notice number nurse ocean offer office often once open order outside oxygen
        page pain paint pair paper parent park part party pass password patient pay peace pencil
        perfect period person phone photo picture piece place plan plane plant play please point
        police poor possible power present president press pressure price print prison product
        promise protect prove public pull pump purple push quality question quick quiet rain reach
        read ready real reason receive record red refund remember repair reply report request
        result return rice rich ride right ring rise river rock roof room round rule safe school
        science season second secret send sentence serious service seven shape share sharp ship
        shirt shoe shop short shoulder shout show sick side sign silver sing sister size skin sky
        sleep slow small smell smile smoke snow social soft soldier someone something song soon
        south space speak special speed spell spend spoon sport spring square stage star station
        stay steal steel stomach stop store storm story strange street strong student study sugar
        summer sun support sure surface surgery sweet swim symptom system table talk tall taste
        teacher team test thank thing think thousand through throw ticket tired together tomorrow
        tooth touch tower train travel treatment tree trip trouble true trust turn twelve uncle
        under understand until update user valley value very video village visit voice walk wall
        want warm wash watch weather week weight welcome west wheel white whole wife wild wind
        window winter woman wonder wood word work world worry write wrong year yellow yesterday
        young your zero
    """,
    "ko": """
        가게 가격 가까이 가끔 가로 가르치다 가방 가슴 가을 가족 가지 간호사 감기 감사 감정 강아지
        같이 개인 거리 거실 건강 건물 검사 겨울 결과 결정 결혼 경기 경제 경찰 경험 계속 계약 계절
        계획 고기 고양이 고장 고향 골목 공부 공원 공장 과일 과정 과학 관계 관심 광고 교사 교수 교실
        교육 교통 구두 구름 국가 국민 국회 군인 규칙 그녀 그림 극장 근처 금요일 기계 기관 기분 기사
        기술 기억 기온 기자 기차 기침 길이 김치 나라 나무 나이 날씨 날짜 남자 남편 내용 내일 냄새
        냉장고 노래 노력 노인 논문 농구 누구 눈물 느낌 능력 다음 다행 단어 담배 답장 당뇨병 대답
        대통령 대학 대학교 대화 더위 도서관 도시 도움 도착 독서 동네 동물 동생 두통 드라마 등산 딸기
        때문 마당 마음 마지막 만화 말씀 매일 머리 메일 며칠 모두 모습 모양 모자 목소리 목요일 무릎
        문자 문장 문제 문화 물건 미래 미술 바다 바람 바지 박물관 반찬 발견 발전 방법 방송 방향 배달
        배송 버스 번호 법원 변호사 변화 병원 보고 보험 복도 봄날 부모 부분 부엌 부인 부탁 부품
        분위기 불만 비교 비밀 비행기 사건 사고 사과 사람 사랑 사무실 사실 사업 사용 사이 사진 사회
        산업 상담 상자 상태 상품 상황 새벽 색깔 생각 생일 생활 서비스 서울 서점 선물 선생님 선택
        설명 설탕 성격 성공 세계 세상 세포 센터 소금 소리 소설 소식 소화 속도 손가락 손님 쇼핑 수술
        수업 수영 수요일 수학 순간 시간 시계 시대 시민 시원 시작 시장 시험 식당 식사 신문 신발 실수
        실패 실험 심장 쓰레기 아기 아내 아들 아래 아버지 아이 아저씨 아주 아직 아침 안내 안전 야구
        약국 약속 어깨 어디 어린이 어머니 어제 언니 언제 얼굴 얼마 여름 여자 여행 역사 역할 연구
        연락 연습 열쇠 염증 영수증 영어 영향 영화 예술 오늘 오른쪽 오빠 오전 오후 온도 온몸 올해
        완전 외국 왼쪽 요구 요금 요리 요즘 용어 우리 우산 우유 우체국 운동 운전 원인 월요일 위치
        위험 유명 은행 음료 음식 음악 의견 의미 의사 의자 이름 이메일 이야기 이용 이유 이해 인간
        인기 인사 인생 인터넷 일본 일요일 입원 자동차 자료 자리 자세 자신 자연 자유 자전거 작년 작업
        작품 잔디 장갑 장난감 장소 저녁 적극 전기 전체 전화 점심 접수 정도 정말 정보 정부 정신 제목
        제품 조건 조사 종류 종이 주말 주문 주방 주변 주사 주소 주의 주인 주장 준비 중국 중요 증상
        지금 지난 지도 지방 지하철 직업 직원 직장 진료 질문 집안 차이 참가 창문 책상 처리 처방 처음
        천천히 청소 체온 체육 초대 최고 축구 출발 취소 치료 친구 침대 카메라 커피 컴퓨터 크기 태양
        택시 토요일 통증 투여 특별 판결 팔다리 편지 평가 평균 평소 폐렴 표시 표현 품질 피고 피부
        필요 하늘 하루 학교 학생 한국 한글 할머니 할아버지 함께 항상 해결 행동 행복 혈관 혈압 혈액
        형제 호랑이 호흡 화면 화요일 화장실 확인 환경 환급 환불 환자 활동 회사 회의 효과 후회 훈련
        휴가 휴대폰 희망 히터 힘들다
    """,
}
